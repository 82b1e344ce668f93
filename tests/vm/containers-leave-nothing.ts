import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { readUntil } from '../harness/container-client.js';
import { processRequest } from '../harness/container-request.js';
import { guestMemory, type GuestState, guestState } from './guest-state.js';
import { container } from './hotplug.js';
import { shell } from './machine.js';
import type { RunningGuest } from './running-guest.js';

/** The acceptance run uses `VM_CONTAINERS=100`; a container takes two seconds or more under emulation. */
const containers = Number(process.env['VM_CONTAINERS'] ?? 5);

/**
 * The permitted loss of memory of agent and guest, in MB. A container's memory in the agent is below a megabyte, so
 * that a leak shows after a hundred; V8 takes new memory in steps of 16 MB before it collects.
 */
const memoryBound = 32;

const sigkill = 9;

/** Requires a sandbox whose storage is the image. */
export function containersLeaveNothing(guest: RunningGuest): void {
  describe('created and removed containers leave nothing', () => {
    async function run(id: string): Promise<void> {
      await guest.agent.createContainer(container(id, 'exit 3'));
      await guest.agent.startContainer({ containerId: id });
      assert.equal((await guest.agent.waitProcess({ containerId: id, execId: id })).status, 3);
      await guest.agent.removeContainer({ containerId: id });
    }

    /** After one container, so that one-time allocations are included. */
    let atRest: GuestState;
    before(async () => {
      await run('first');
      let seen: GuestState | undefined;
      for (let look = 0; look < 300; look++) {
        atRest = await guestState(guest.machine);
        if (isDeepStrictEqual(atRest, seen)) return;
        seen = atRest;
      }
      assert.fail(`the guest is not stable: ${JSON.stringify(seen)}`);
    });

    /** Waits until everything equals the state at rest. */
    async function comesToRest(): Promise<void> {
      for (let look = 0; look < 300; look++) {
        if (isDeepStrictEqual(await guestState(guest.machine), atRest)) return;
        await delay(100);
      }
      assert.deepEqual(await guestState(guest.machine), atRest);
    }

    it('whose parents have exited are reaped by PID 1', async () => {
      const orphans = 20;
      const sleepers =
        "sed -n 's/^\\([0-9]*\\) (sleep) . \\([0-9]*\\) .*/\\1 \\2/p' /proc/[0-9]*/stat 2>/dev/null";
      // Each daemon's parent exits at once; the shell beside the agent is neither its child nor a subreaper.
      const start = `for n in $(seq ${orphans}); do setsid sh -c 'sleep 1000 &' </dev/null >/dev/null 2>&1 & done; wait`;
      const found = (await shell(guest.machine, `${start}; ${sleepers}`)).trim().split('\n');
      const [pids, parents] = [0, 1].map((column) => found.map((line) => line.split(' ')[column]));
      assert.deepEqual(
        parents,
        Array.from({ length: orphans }, () => '1'),
      );
      await shell(guest.machine, `kill ${pids?.join(' ')}`);
      await comesToRest();
    });

    it('with daemons and grandchildren, which outlive their parents', async () => {
      const containerId = 'daemons';
      const daemons =
        'for n in 1 2 3 4 5 6 7 8 9 10; do (sleep 0.1 & sleep 1000 & sleep 1000 &) & done; wait';
      await guest.agent.createContainer(container(containerId, `${daemons}; echo ready; exec sleep 1000`));
      await guest.agent.startContainer({ containerId });
      await readUntil(guest.agent, containerId, 'ready');
      for (const execId of ['one', 'two', 'three']) {
        const process = processRequest(['sh', '-c', '(sleep 0.1 & sleep 1000 &) & exit 4']);
        await guest.agent.execProcess({ containerId, execId, process });
        assert.equal((await guest.agent.waitProcess({ containerId, execId })).status, 4);
      }
      const during = await guestState(guest.machine);
      assert.ok(during.processes >= atRest.processes + 20, `${during.processes} processes`);
      await guest.agent.signalProcess({ containerId, execId: containerId, signal: sigkill });
      assert.equal(
        (await guest.agent.waitProcess({ containerId, execId: containerId })).status,
        128 + sigkill,
      );
      await guest.agent.removeContainer({ containerId });
      await comesToRest();
    });

    it(`${containers} of them, one after another`, async (context) => {
      const memoryBefore = await guestMemory(guest.machine);
      for (let count = 1; count <= containers; count++) {
        await run(`container-${count}`);
        if (count % 10 === 0)
          context.diagnostic(`${count}: ${JSON.stringify(await guestMemory(guest.machine))}`);
      }
      const memory = await guestMemory(guest.machine);
      context.diagnostic(`before ${JSON.stringify(memoryBefore)}, after ${JSON.stringify(memory)}`);
      await comesToRest();
      assert.ok(memory.agent - memoryBefore.agent < memoryBound, 'of the agent');
      assert.ok(memoryBefore.available - memory.available < memoryBound, 'of the guest');
    });
  });
}
