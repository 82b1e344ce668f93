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

/** Nothing is plugged there. */
const nowhere = '1f/1e';

/** Far longer than these tests take: whoever waits for a disk to the end is found out. */
const config = '[agent]\nhotplug_timeout = 3600\n[api]\nallowed_endpoints = ["*"]\n';

describe('a change that waits for a device', { skip }, () => {
  let folder = '';
  let rootfs = '';
  let blocks = '';
  let process: AgentProcess;
  let agent: AgentConnection['agent'];

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'kata-agent-late-'));
    rootfs = makeRootfs(folder);
  });
  after(() => rmSync(folder, { recursive: true }));

  beforeEach(async () => {
    blocks = mkdtempSync(join(folder, 'blocks-'));
    // What the agent sees of the kernel's list of disks is the test's, so that one can come.
    process = await AgentProcess.start({ config, setup: `mount --bind ${blocks} /sys/class/block` });
    ({ agent } = await process.connect());
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
  });
  afterEach(async () => {
    // One that holds on to its end, for a disk, fails its test and not the whole run.
    const patience = setTimeout(() => process.process.kill('SIGKILL'), 20_000);
    await process.dispose();
    clearTimeout(patience);
  });

  const request = (id: string, args: readonly string[] = ['sleep', '600']) =>
    containerRequest({ id, rootfs, args });
  const withDisk = (id: string) => ({
    ...request(id),
    devices: [create(DeviceSchema, { id: nowhere, type: 'blk', containerPath: '/dev/data' })],
  });
  const withVolume = (id: string, driver = 'blk', source = nowhere) => ({
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

  /** Resolves when the agent has said so often that something waits. */
  async function waiting(times = 1): Promise<void> {
    while (process.log.filter((line) => line.includes('"msg":"waits for')).length < times) await delay(10);
  }

  /** A whole life of a container. */
  async function live(id: string): Promise<void> {
    await agent.createContainer(request(id, ['echo', id]));
    await agent.startContainer({ containerId: id });
    assert.equal((await readAll(agent, 'stdout', id)).toString(), `${id}\n`);
    assert.equal((await agent.waitProcess({ containerId: id, execId: '' })).status, 0);
    await agent.removeContainer({ containerId: id });
  }

  /** A caller may know a moment before the agent that his call is over. */
  async function becomesFree(id: string): Promise<void> {
    while ((await answerOf(agent.createContainer(request(id)))).code === 'ALREADY_EXISTS') await delay(10);
    await agent.removeContainer({ containerId: id });
  }

  it('keeps no other one waiting, and has its container’s id to itself', { timeout: 60_000 }, async () => {
    const calls = [
      answerOf(agent.createContainer(withDisk('disk'))),
      answerOf(agent.createContainer(withVolume('volume'))),
      answerOf(agent.addSwap({ PCIPath: [0x1f, 0x1d] })),
      answerOf(
        agent.updateInterface({ interface: { name: 'eth9', devicePath: '1f/1c', hwAddr: '', mtu: 1500n } }),
      ),
    ];
    await waiting(calls.length);
    await live('other');
    for (const id of ['disk', 'volume'])
      for (const again of [request(id), withDisk(id)]) {
        const { code, message } = await answerOf(agent.createContainer(again));
        assert.equal(code, 'ALREADY_EXISTS', message);
        assert.match(message, /is being made: it waits for what it needs/);
      }
    await agent.destroySandbox({});
    for (const call of calls) {
      const { code, message } = await call;
      assert.equal(code, 'FAILED_PRECONDITION', message);
      assert.match(message, /PCI path .* was waited for until the sandbox was destroyed/);
    }
    assert.equal(await process.exited, 0);
  });

  it('is over when the container is removed, and its id is free', { timeout: 60_000 }, async () => {
    const created = answerOf(agent.createContainer(withVolume('c')));
    await waiting();
    const signalled = await answerOf(agent.signalProcess({ containerId: 'c', execId: '', signal: 9 }));
    assert.match(signalled.message, /there is no container "c"/);
    await agent.removeContainer({ containerId: 'c' });
    assert.match((await created).message, /was waited for until the container was removed/);
    await live('c');
    assert.equal((await answerOf(agent.removeContainer({ containerId: 'c' }))).code, 'INVALID_ARGUMENT');
  });

  it('is over when its caller has no more time', { timeout: 60_000 }, async () => {
    const late = await answerOf(agent.createContainer(withDisk('c'), { timeoutMs: 500 }));
    assert.equal(late.code, 'DEADLINE_EXCEEDED');
    await becomesFree('c');
  });

  it('is over when its caller has gone', { timeout: 60_000 }, async () => {
    const other = await process.connect();
    const created = answerOf(other.agent.createContainer(withDisk('c')));
    await waiting();
    other.channel.close();
    await created;
    await becomesFree('c');
  });

  it('is over when the agent is stopped', { timeout: 60_000 }, async () => {
    const calls = [withDisk('disk'), withVolume('volume')].map((each) =>
      answerOf(agent.createContainer(each)),
    );
    await waiting(2);
    process.process.kill('SIGTERM');
    for (const call of calls)
      assert.match((await call).message, /was waited for until the sandbox was destroyed/);
    assert.equal(await process.exited, 0);
  });

  it('is made when the device comes, after what came meanwhile', { timeout: 60_000 }, async () => {
    const disk = plainDisk(folder);
    try {
      const created = answerOf(agent.createContainer(withVolume('c', 'mmioblk', disk)));
      await waiting();
      await live('other');
      mkdirSync(join(blocks, basename(disk)));
      assert.deepEqual(await created, { code: 'OK', message: '' });
      await agent.startContainer({ containerId: 'c' });
      await agent.removeContainer({ containerId: 'c' });
    } finally {
      detach(disk);
    }
  });
});
