import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readAll, readUntil, sha256, writeAll } from '../harness/container-client.js';
import { cgroupParent, containerRequest, processRequest } from '../harness/container-request.js';
import { stableFootprint } from '../harness/footprint.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const skip = whyNoContainers() ?? false;

describe('containers through the API', { skip }, () => {
  let directory = '';
  let rootfs = '';
  let process: AgentProcess;
  let agent: AgentConnection['agent'];
  let count = 0;
  const nextId = () => `c${++count}-${globalThis.process.pid}`;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-root-'));
    rootfs = makeRootfs(directory);
    process = await AgentProcess.start();
    ({ agent } = await process.connect());
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
  });

  after(async () => {
    await process.dispose();
    rmSync(directory, { recursive: true });
  });

  async function startContainer(
    args: readonly string[],
    options: Parameters<typeof processRequest>[1] = {},
  ): Promise<string> {
    const id = nextId();
    await agent.createContainer(containerRequest({ id, rootfs, args, ...options }));
    await agent.startContainer({ containerId: id });
    return id;
  }

  async function waitAndRemove(containerId: string): Promise<number> {
    const { status } = await agent.waitProcess({ containerId, execId: containerId });
    await agent.removeContainer({ containerId });
    return status;
  }

  it('the client gets the exit code, stdout and stderr of a container', async () => {
    const id = await startContainer(['sh', '-c', 'echo out; echo err >&2; exit 42']);
    assert.equal((await readAll(agent, 'stdout', id)).toString(), 'out\n');
    assert.equal((await readAll(agent, 'stderr', id)).toString(), 'err\n');
    assert.equal(await waitAndRemove(id), 42);
  });

  it('10 MiB pass from stdin to stdout unchanged', async () => {
    const id = await startContainer(['cat']);
    const data = randomBytes(10 << 20);
    const [, echoed] = await Promise.all([writeAll(agent, id, data), readAll(agent, 'stdout', id)]);
    assert.equal(echoed.length, data.length);
    assert.equal(sha256(echoed), sha256(data));
    assert.equal(await waitAndRemove(id), 0);
  });

  it('a program sees the terminal size that the client sets', async () => {
    const id = await startContainer(['sh', '-c', 'echo ready; read x; stty size; exit 3'], {
      terminal: true,
    });
    await readUntil(agent, id, 'ready');
    await agent.ttyWinResize({ containerId: id, execId: '', row: 33, column: 101 });
    await agent.writeStdin({ containerId: id, execId: '', data: Buffer.from('\n') });
    await readUntil(agent, id, '33 101');
    assert.equal(await waitAndRemove(id), 3);
  });

  it('an exec has its own environment and exit code', async () => {
    const id = await startContainer(['sleep', '600']);
    await agent.execProcess({
      containerId: id,
      execId: 'e1',
      process: processRequest(['sh', '-c', 'echo $V; exit 9'], { env: ['V=seen'] }),
    });
    assert.equal((await readAll(agent, 'stdout', id, 'e1')).toString(), 'seen\n');
    assert.equal((await agent.waitProcess({ containerId: id, execId: 'e1' })).status, 9);
    await agent.signalProcess({ containerId: id, execId: '', signal: 9 });
    assert.equal(await waitAndRemove(id), 137);
  });

  it('SIGTERM is delivered to a process with a handler, and converted to SIGKILL for one without', async () => {
    const plain = await startContainer(['sleep', '600']);
    await agent.signalProcess({ containerId: plain, execId: '', signal: 15 });
    assert.equal(await waitAndRemove(plain), 137);
    const handled = await startContainer([
      'sh',
      '-c',
      'trap "exit 5" TERM; echo ready; while :; do sleep 0.05; done',
    ]);
    await readUntil(agent, handled, 'ready');
    await agent.signalProcess({ containerId: handled, execId: '', signal: 15 });
    assert.equal(await waitAndRemove(handled), 5);
  });

  it('stdout ends when the process exits, although a grandchild holds the pipe', async () => {
    const id = await startContainer(['sh', '-c', 'echo first; sleep 600 & exit 0']);
    assert.equal((await readAll(agent, 'stdout', id)).toString(), 'first\n');
    assert.equal(await waitAndRemove(id), 0);
  });

  it('a running container has metrics and can be paused and resumed', async () => {
    const id = await startContainer(['sh', '-c', 'while :; do echo tick; sleep 0.02; done']);
    await readUntil(agent, id, 'tick');
    const stats = await agent.statsContainer({ containerId: id });
    assert.ok((stats.cgroupStats?.memoryStats?.usage?.usage ?? 0n) > 0n, 'memory in use');
    assert.ok((stats.cgroupStats?.cpuStats?.cpuUsage?.totalUsage ?? 0n) > 0n, 'CPU time used');
    assert.ok((stats.cgroupStats?.pidsStats?.current ?? 0n) > 0n, 'processes');
    await agent.pauseContainer({ containerId: id });
    await agent.resumeContainer({ containerId: id });
    await readUntil(agent, id, 'tick');
    await agent.signalProcess({ containerId: id, execId: '', signal: 9 });
    assert.equal(await waitAndRemove(id), 137);
  });

  it('statistics are read from descriptors that are kept, and closed when the container is removed', async () => {
    const id = await startContainer(['sleep', '600']);
    const ownFiles = (): number =>
      readdirSync(`/proc/${process.process.pid}/fd`).filter((fd) => {
        try {
          return readlinkSync(`/proc/${process.process.pid}/fd/${fd}`).includes(id);
        } catch {
          // A descriptor that was closed meanwhile.
          return false;
        }
      }).length;
    const before = ownFiles();
    await agent.statsContainer({ containerId: id });
    const kept = ownFiles() - before;
    assert.ok(kept > 4, `${kept} descriptors`);
    for (let n = 0; n < 20; n += 1) await agent.statsContainer({ containerId: id });
    assert.equal(ownFiles() - before, kept, 'none more');
    await agent.signalProcess({ containerId: id, execId: '', signal: 9 });
    assert.equal(await waitAndRemove(id), 137);
    assert.equal(ownFiles(), 0);
  });

  it('signals to unknown and ended processes fail with the errors that runtimes recognize', async () => {
    const unknown = await answerOf(agent.signalProcess({ containerId: 'unknown', execId: '', signal: 15 }));
    assert.equal(unknown.code, 'INVALID_ARGUMENT');
    const id = await startContainer(['true']);
    assert.equal((await agent.waitProcess({ containerId: id, execId: '' })).status, 0);
    const late = await answerOf(agent.signalProcess({ containerId: id, execId: '', signal: 15 }));
    assert.equal(late.code, 'NOT_FOUND');
    assert.match(late.message, /ESRCH: No such process/);
    await agent.removeContainer({ containerId: id });
  });

  it('an OOM kill is reported once', async () => {
    const id = nextId();
    // One process with a buffer of 200 MB: the processes of a pipeline would be killed separately, with two events.
    const args = ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=200000000', 'count=1'];
    await agent.createContainer(containerRequest({ id, rootfs, args, memoryLimit: 20n << 20n }));
    const event = agent.getOOMEvent({});
    await agent.startContainer({ containerId: id });
    assert.equal((await event).containerId, id);
    assert.notEqual((await agent.waitProcess({ containerId: id, execId: '' })).status, 0);
    assert.equal((await answerOf(agent.getOOMEvent({}, { timeoutMs: 1_000 }))).code, 'DEADLINE_EXCEEDED');
    await agent.removeContainer({ containerId: id });
  });

  it('sequential and concurrent containers leave no resources', async () => {
    const pid = process.process.pid ?? assert.fail('the agent has no pid');
    assert.equal(await waitAndRemove(await startContainer(['true'])), 0);
    const before = await stableFootprint(pid, cgroupParent);
    for (let round = 0; round < 8; round++) {
      const id = await startContainer(['sh', '-c', `echo ${round}; exit ${round}`]);
      assert.equal((await readAll(agent, 'stdout', id)).toString(), `${round}\n`);
      assert.equal(await waitAndRemove(id), round);
    }
    const exitCodes = await Promise.all(
      Array.from({ length: 16 }, async (_, index) =>
        waitAndRemove(await startContainer(['sh', '-c', `exit ${index}`])),
      ),
    );
    assert.deepEqual(
      exitCodes,
      Array.from({ length: 16 }, (_, index) => index),
    );
    assert.deepEqual(await stableFootprint(pid, cgroupParent), before);
  });
});
