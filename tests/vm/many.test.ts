import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentService } from '@kata-agent/protocol/agent';
import type { Channel, Client } from '@kata-agent/ttrpc';
import { readUntil } from '../harness/container-client.js';
import { processRequest } from '../harness/container-request.js';
import { guestMemory, type GuestState, guestState } from './guest-state.js';
import { container, ext4Disk, openImage, rootFolder } from './hotplug.js';
import { agentIn, boot, listening, type Machine, shell, stop, whyNoMachine } from './machine.js';

const skip = whyNoMachine() ?? false;

/** `VM_CONTAINERS=100` is what issue D asks for; one costs two seconds or more under emulation. */
const containers = Number(process.env['VM_CONTAINERS'] ?? 10);

/**
 * What the agent, and the guest as a whole, may have less of in the end, in MB. All that one container has in the agent is
 * below a megabyte, so that a leak of it shows in a hundred; V8 takes new room in steps of 16 MB before it collects.
 */
const memoryBound = 32;

const sigkill = 9;

describe('containers that come and go leave nothing in a guest', { skip }, () => {
  let folder = '';
  let machine: Machine;
  let agent: Client<typeof AgentService>;
  let channel: Channel;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kata-vm-many-'));
    const disks = [ext4Disk(folder, 'rootfs', rootFolder(folder, 'root'))];
    machine = await boot(await openImage('many'), folder, { disks });
    await machine.line(listening);
    ({ agent, channel } = await agentIn(machine));
    const mountPoint = '/run/kata-containers/image';
    const storages = [{ driver: 'blk', source: '10', fstype: 'ext4', mountPoint }];
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod', storages });
    await run('first');
  });

  after(async () => {
    channel?.close();
    await machine?.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  async function run(id: string): Promise<void> {
    await agent.createContainer(container(id, 'exit 3'));
    await agent.startContainer({ containerId: id });
    assert.equal((await agent.waitProcess({ containerId: id, execId: id })).status, 3);
    await agent.removeContainer({ containerId: id });
  }

  /** The state of the guest, once it is the wanted one, or after ten seconds. */
  async function settled(wanted: GuestState): Promise<GuestState> {
    for (let look = 0; ; look++) {
      const state = await guestState(machine);
      const same = Object.entries(wanted).every(([name, count]) => state[name as keyof GuestState] === count);
      if (same || look === 100) return state;
      await delay(100);
    }
  }

  it('whose parents have gone are reaped by PID 1', async () => {
    const before = await guestState(machine);
    const orphans = 20;
    const sleepers = "sed -n 's/^[0-9]* (sleep) . \\([0-9]*\\) .*/\\1/p' /proc/[0-9]*/stat 2>/dev/null";
    // Each daemon's parent ends at once; the shell beside the agent is no child of it, and no subreaper.
    const start = `for n in $(seq ${orphans}); do setsid sh -c 'sleep 5 &' </dev/null >/dev/null 2>&1 & done; wait`;
    const parents = await shell(machine, `${start}; ${sleepers}`);
    assert.deepEqual(
      parents.trim().split('\n'),
      Array.from({ length: orphans }, () => '1'),
    );
    assert.deepEqual(await settled(before), before);
  });

  it('with daemons and grandchildren of their own, which outlive their parents', async () => {
    const before = await guestState(machine);
    const containerId = 'daemons';
    const daemons = 'for n in 1 2 3 4 5 6 7 8 9 10; do (sleep 0.1 & sleep 1000 & sleep 1000 &) & done; wait';
    await agent.createContainer(container(containerId, `${daemons}; echo ready; exec sleep 1000`));
    await agent.startContainer({ containerId });
    await readUntil(agent, containerId, 'ready');
    for (const execId of ['one', 'two', 'three']) {
      const process = processRequest(['sh', '-c', '(sleep 0.1 & sleep 1000 &) & exit 4']);
      await agent.execProcess({ containerId, execId, process });
      assert.equal((await agent.waitProcess({ containerId, execId })).status, 4);
    }
    const during = await guestState(machine);
    assert.ok(during.processes >= before.processes + 20, `${during.processes} processes`);
    await agent.signalProcess({ containerId, execId: containerId, signal: sigkill });
    assert.equal((await agent.waitProcess({ containerId, execId: containerId })).status, 128 + sigkill);
    await agent.removeContainer({ containerId });
    assert.deepEqual(await settled(before), before);
  });

  it(`${containers} of them, one after another`, async (context) => {
    const before = { state: await guestState(machine), memory: await guestMemory(machine) };
    for (let count = 1; count <= containers; count++) {
      await run(`container-${count}`);
      if (count % 10 === 0) context.diagnostic(`${count}: ${JSON.stringify(await guestMemory(machine))}`);
    }
    const memory = await guestMemory(machine);
    context.diagnostic(`before ${JSON.stringify(before)}, after ${JSON.stringify(memory)}`);
    assert.deepEqual(await settled(before.state), before.state);
    assert.ok(memory.agent - before.memory.agent < memoryBound, 'of the agent');
    assert.ok(before.memory.available - memory.available < memoryBound, 'of the guest');
  });

  it('and the guest ends when it is told to', async () => {
    await stop(machine);
    assert.match(machine.lines.join('\n'), /PID 1 ends with code 0; the machine is powered off/);
  });
});
