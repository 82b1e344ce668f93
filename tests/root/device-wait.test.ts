import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { DeviceSchema, StorageSchema } from '@kata-agent/protocol/agent';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readAll } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';
import { detach, plainDisk } from './scenario-disk.js';

const skip = whyNoContainers() ?? false;

/** A PCI path without a device. */
const absentDevice = '1f/1e';

/** The agent's timeout exceeds those of the tests: a call that does not end earlier fails its test. */
const config = '[agent]\nhotplug_timeout = 3600\n[api]\nallowed_endpoints = ["*"]\n';

describe('calls that wait for a device', { skip }, () => {
  let directory = '';
  let rootfs = '';
  let blocks = '';
  let process: AgentProcess;
  let agent: AgentConnection['agent'];

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-late-'));
    rootfs = makeRootfs(directory);
  });
  after(() => rmSync(directory, { recursive: true }));

  beforeEach(async () => {
    blocks = mkdtempSync(join(directory, 'blocks-'));
    // The test replaces the kernel's list of disks, to which it adds a disk later.
    process = await AgentProcess.start({ config, setup: `mount --bind ${blocks} /sys/class/block` });
    ({ agent } = await process.connect());
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
  });
  afterEach(async () => {
    // A failed test must not block the others.
    const killTimer = setTimeout(() => process.process.kill('SIGKILL'), 20_000);
    await process.dispose();
    clearTimeout(killTimer);
  });

  const request = (id: string, args: readonly string[] = ['sleep', '600']) =>
    containerRequest({ id, rootfs, args });
  const withDisk = (id: string) => ({
    ...request(id),
    devices: [create(DeviceSchema, { id: absentDevice, type: 'blk', containerPath: '/dev/data' })],
  });
  const withVolume = (id: string, driver = 'blk', source = absentDevice) => ({
    ...request(id),
    storages: [
      create(StorageSchema, {
        driver,
        source,
        fstype: 'ext4',
        mountPoint: '/run/kata-containers/sandbox/storage/volume',
      }),
    ],
  });

  /** Resolves when the agent has logged this number of waits. */
  async function untilWaiting(times = 1): Promise<void> {
    while (process.log.filter((line) => line.includes('"msg":"waiting for')).length < times) await delay(10);
  }

  /** Runs a container from its creation to its removal. */
  async function runContainer(id: string): Promise<void> {
    await agent.createContainer(request(id, ['echo', id]));
    await agent.startContainer({ containerId: id });
    assert.equal((await readAll(agent, 'stdout', id)).toString(), `${id}\n`);
    assert.equal((await agent.waitProcess({ containerId: id, execId: '' })).status, 0);
    await agent.removeContainer({ containerId: id });
  }

  /** Waits until the ID can be used: a client can see the end of its call before the agent releases the ID. */
  async function untilFree(id: string): Promise<void> {
    while ((await answerOf(agent.createContainer(request(id)))).code === 'ALREADY_EXISTS') await delay(10);
    await agent.removeContainer({ containerId: id });
  }

  it('a call that waits does not block others, and reserves its container ID', {
    timeout: 60_000,
  }, async () => {
    const calls = [
      answerOf(agent.createContainer(withDisk('disk'))),
      answerOf(agent.createContainer(withVolume('volume'))),
      answerOf(agent.addSwap({ PCIPath: [0x1f, 0x1d] })),
      answerOf(
        agent.updateInterface({ interface: { name: 'eth9', devicePath: '1f/1c', hwAddr: '', mtu: 1500n } }),
      ),
    ];
    await untilWaiting(calls.length);
    await runContainer('other');
    for (const id of ['disk', 'volume'])
      for (const again of [request(id), withDisk(id)]) {
        const { code, message } = await answerOf(agent.createContainer(again));
        assert.equal(code, 'ALREADY_EXISTS', message);
        assert.match(message, /is being created, and waits for its devices or mounts/);
      }
    await agent.destroySandbox({});
    for (const call of calls) {
      const { code, message } = await call;
      assert.equal(code, 'FAILED_PRECONDITION', message);
      assert.match(message, /PCI path .* was cancelled: the sandbox was destroyed/);
    }
    assert.equal(await process.exited, 0);
  });

  it('RemoveContainer ends the wait and frees the container ID', { timeout: 60_000 }, async () => {
    const created = answerOf(agent.createContainer(withVolume('c')));
    await untilWaiting();
    const signalled = await answerOf(agent.signalProcess({ containerId: 'c', execId: '', signal: 9 }));
    assert.match(signalled.message, /there is no container "c"/);
    await agent.removeContainer({ containerId: 'c' });
    assert.match((await created).message, /was cancelled: the container was removed/);
    await runContainer('c');
    assert.equal((await answerOf(agent.removeContainer({ containerId: 'c' }))).code, 'INVALID_ARGUMENT');
  });

  it('the deadline of the call ends the wait', { timeout: 60_000 }, async () => {
    const expired = await answerOf(agent.createContainer(withDisk('c'), { timeoutMs: 500 }));
    assert.equal(expired.code, 'DEADLINE_EXCEEDED');
    await untilFree('c');
  });

  it('a disconnect of the client ends the wait', { timeout: 60_000 }, async () => {
    const other = await process.connect();
    const created = answerOf(other.agent.createContainer(withDisk('c')));
    await untilWaiting();
    other.channel.close();
    await created;
    await untilFree('c');
  });

  it('the stop of the agent ends the wait', { timeout: 60_000 }, async () => {
    const calls = [withDisk('disk'), withVolume('volume')].map((each) =>
      answerOf(agent.createContainer(each)),
    );
    await untilWaiting(2);
    process.process.kill('SIGTERM');
    for (const call of calls) assert.match((await call).message, /was cancelled: the sandbox was destroyed/);
    assert.equal(await process.exited, 0);
  });

  it('a call completes when the device appears, after other changes', { timeout: 60_000 }, async () => {
    const disk = plainDisk(directory);
    try {
      const created = answerOf(agent.createContainer(withVolume('c', 'mmioblk', disk)));
      await untilWaiting();
      await runContainer('other');
      mkdirSync(join(blocks, basename(disk)));
      assert.deepEqual(await created, { code: 'OK', message: '' });
      await agent.startContainer({ containerId: 'c' });
      await agent.removeContainer({ containerId: 'c' });
    } finally {
      detach(disk);
    }
  });
});
