import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readAll, readUntil, sha256, writeAll } from '../harness/container-client.js';
import { cgroupParent, containerRequest, processRequest } from '../harness/container-request.js';
import { steadyFootprint } from '../harness/footprint.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const skip = whyNoContainers() ?? false;

describe('a real container, as a client sees it', { skip }, () => {
  let folder = '';
  let rootfs = '';
  let process: AgentProcess;
  let agent: AgentConnection['agent'];
  let count = 0;
  const nextId = () => `c${++count}-${globalThis.process.pid}`;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kata-agent-root-'));
    rootfs = makeRootfs(folder);
    process = await AgentProcess.start();
    ({ agent } = await process.connect());
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
  });

  after(async () => {
    await process.dispose();
    rmSync(folder, { recursive: true });
  });

  async function started(
    args: readonly string[],
    options: Parameters<typeof processRequest>[1] = {},
  ): Promise<string> {
    const id = nextId();
    await agent.createContainer(containerRequest({ id, rootfs, args, ...options }));
    await agent.startContainer({ containerId: id });
    return id;
  }

  async function ended(containerId: string): Promise<number> {
    const { status } = await agent.waitProcess({ containerId, execId: containerId });
    await agent.removeContainer({ containerId });
    return status;
  }

  it('passes on the exit code, stdout and stderr', async () => {
    const id = await started(['sh', '-c', 'echo out; echo err >&2; exit 42']);
    assert.equal((await readAll(agent, 'stdout', id)).toString(), 'out\n');
    assert.equal((await readAll(agent, 'stderr', id)).toString(), 'err\n');
    assert.equal(await ended(id), 42);
  });

  it('carries 10 MiB through stdin to stdout intact', async () => {
    const id = await started(['cat']);
    const data = randomBytes(10 << 20);
    const [, echoed] = await Promise.all([writeAll(agent, id, data), readAll(agent, 'stdout', id)]);
    assert.equal(echoed.length, data.length);
    assert.equal(sha256(echoed), sha256(data));
    assert.equal(await ended(id), 0);
  });

  it('gives a terminal whose size the program sees', async () => {
    const id = await started(['sh', '-c', 'echo ready; read x; stty size; exit 3'], { terminal: true });
    await readUntil(agent, id, 'ready');
    await agent.ttyWinResize({ containerId: id, execId: '', row: 33, column: 101 });
    await agent.writeStdin({ containerId: id, execId: '', data: Buffer.from('\n') });
    await readUntil(agent, id, '33 101');
    assert.equal(await ended(id), 3);
  });

  it('runs a second process with a code of its own', async () => {
    const id = await started(['sleep', '600']);
    await agent.execProcess({
      containerId: id,
      execId: 'e1',
      process: processRequest(['sh', '-c', 'echo $V; exit 9'], { env: ['V=seen'] }),
    });
    assert.equal((await readAll(agent, 'stdout', id, 'e1')).toString(), 'seen\n');
    assert.equal((await agent.waitProcess({ containerId: id, execId: 'e1' })).status, 9);
    await agent.signalProcess({ containerId: id, execId: '', signal: 9 });
    assert.equal(await ended(id), 137);
  });

  it('turns SIGTERM without a handler into SIGKILL, and leaves a handler its say', async () => {
    const plain = await started(['sleep', '600']);
    await agent.signalProcess({ containerId: plain, execId: '', signal: 15 });
    assert.equal(await ended(plain), 137);
    const handled = await started([
      'sh',
      '-c',
      'trap "exit 5" TERM; echo ready; while :; do sleep 0.05; done',
    ]);
    await readUntil(agent, handled, 'ready');
    await agent.signalProcess({ containerId: handled, execId: '', signal: 15 });
    assert.equal(await ended(handled), 5);
  });

  it('answers end of file after the exit although a grandchild holds the pipe', async () => {
    const id = await started(['sh', '-c', 'echo first; sleep 600 & exit 0']);
    assert.equal((await readAll(agent, 'stdout', id)).toString(), 'first\n');
    assert.equal(await ended(id), 0);
  });

  it('has figures, pauses and resumes', async () => {
    const id = await started(['sh', '-c', 'while :; do echo tick; sleep 0.02; done']);
    await readUntil(agent, id, 'tick');
    const stats = await agent.statsContainer({ containerId: id });
    assert.ok((stats.cgroupStats?.memoryStats?.usage?.usage ?? 0n) > 0n, 'memory in use');
    assert.ok((stats.cgroupStats?.cpuStats?.cpuUsage?.totalUsage ?? 0n) > 0n, 'CPU time used');
    assert.ok((stats.cgroupStats?.pidsStats?.current ?? 0n) > 0n, 'processes');
    await agent.pauseContainer({ containerId: id });
    await agent.resumeContainer({ containerId: id });
    await readUntil(agent, id, 'tick');
    await agent.signalProcess({ containerId: id, execId: '', signal: 9 });
    assert.equal(await ended(id), 137);
  });

  it('answers in the texts that runtimes look for', async () => {
    const nobody = await answerOf(agent.signalProcess({ containerId: 'nobody', execId: '', signal: 15 }));
    assert.equal(nobody.code, 'INVALID_ARGUMENT');
    const id = await started(['true']);
    assert.equal((await agent.waitProcess({ containerId: id, execId: '' })).status, 0);
    const late = await answerOf(agent.signalProcess({ containerId: id, execId: '', signal: 15 }));
    assert.equal(late.code, 'NOT_FOUND');
    assert.match(late.message, /ESRCH: No such process/);
    await agent.removeContainer({ containerId: id });
  });

  it('reports an OOM kill once', async () => {
    const id = nextId();
    // One process with a buffer of 200 MB: a shell's pipeline would be killed in two steps, which are two events.
    const args = ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=200000000', 'count=1'];
    await agent.createContainer(containerRequest({ id, rootfs, args, memoryLimit: 20n << 20n }));
    const event = agent.getOOMEvent({});
    await agent.startContainer({ containerId: id });
    assert.equal((await event).containerId, id);
    assert.notEqual((await agent.waitProcess({ containerId: id, execId: '' })).status, 0);
    assert.equal((await answerOf(agent.getOOMEvent({}, { timeoutMs: 1_000 }))).code, 'DEADLINE_EXCEEDED');
    await agent.removeContainer({ containerId: id });
  });

  it('leaves nothing behind: one after another, and 16 at once', async () => {
    const pid = process.process.pid ?? assert.fail('the agent has no pid');
    assert.equal(await ended(await started(['true'])), 0);
    const before = await steadyFootprint(pid, cgroupParent);
    for (let round = 0; round < 8; round++) {
      const id = await started(['sh', '-c', `echo ${round}; exit ${round}`]);
      assert.equal((await readAll(agent, 'stdout', id)).toString(), `${round}\n`);
      assert.equal(await ended(id), round);
    }
    const codes = await Promise.all(
      Array.from({ length: 16 }, async (_, index) => ended(await started(['sh', '-c', `exit ${index}`]))),
    );
    assert.deepEqual(
      codes,
      Array.from({ length: 16 }, (_, index) => index),
    );
    assert.deepEqual(await steadyFootprint(pid, cgroupParent), before);
  });
});
