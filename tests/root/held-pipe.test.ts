import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readAll } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';

const skip = whyNoContainers() ?? false;

const config = '[api]\nallowed_endpoints = ["*"]\n';

const splice = process.arch === 'arm64' ? 76 : 275;

/** Splices from a socket that never has anything into the standard output, and holds the lock of that pipe meanwhile. */
const holding = `socketpair(A, B, 1, 1, 0) || die; syscall(${splice}, fileno(A), 0, 1, 0, 4096, 0)`;

/** Resolves with the pid of the process with these arguments, when the container's first process has become it. */
async function processOf(args: readonly string[]): Promise<string> {
  for (;;) {
    const found = readdirSync('/proc').find((name) => {
      try {
        return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'utf8') === `${args.join('\0')}\0`;
      } catch {
        // It has ended since.
        return false;
      }
    });
    if (found !== undefined) return found;
    await delay(1);
  }
}

/** Returns the directories of a process's cgroups: of each controller, or the one of version 2. */
function cgroupsOf(pid: string): readonly string[] {
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n');
  return lines.flatMap((line) => {
    const [, controllers = '', ...path] = line.split(':');
    if (controllers === '' && lines.length > 1) return [];
    return [join('/sys/fs/cgroup', controllers.replace('name=', ''), path.join(':'))];
  });
}

describe('a container that holds the lock of its own output', { skip }, () => {
  let directory = '';
  let rootfs = '';
  let process: AgentProcess;
  let agent: AgentConnection['agent'];
  const holders: ChildProcess[] = [];

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-held-'));
    rootfs = makeRootfs(directory);
    process = await AgentProcess.start({ config });
    ({ agent } = await process.connect());
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
  });
  after(async () => {
    for (const holder of holders) holder.kill('SIGKILL');
    await process.dispose();
    rmSync(directory, { recursive: true });
  });

  async function start(id: string, args: readonly string[]): Promise<void> {
    await agent.createContainer(containerRequest({ id, rootfs, args }));
    await agent.startContainer({ containerId: id });
  }

  /** Does what another process of the container can do: writes to a stream, and holds it before the agent has read it. Killed with the container. */
  async function hold(pid: string, fd: number): Promise<void> {
    const stream = openSync(`/proc/${pid}/fd/${fd}`, 'r+');
    process.process.kill('SIGSTOP');
    if (fd !== 0) writeSync(stream, 'before');
    const holder = spawn('perl', ['-e', holding], { stdio: ['ignore', stream, 'inherit'] });
    closeSync(stream);
    holders.push(holder);
    for (const cgroup of cgroupsOf(pid)) writeFileSync(join(cgroup, 'cgroup.procs'), String(holder.pid));
    while (!readFileSync(`/proc/${holder.pid}/syscall`, 'utf8').startsWith(`${splice} `)) await delay(1);
    process.process.kill('SIGCONT');
  }

  it('delays only reads of its own', async () => {
    const args = ['sleep', '98761'];
    await start('holds', args);
    await hold(await processOf(args), 1);
    const read = agent.readStdout({ containerId: 'holds', execId: '', len: 10 });
    await start('other', ['sh', '-c', 'cat; echo other']);
    await agent.closeStdin({ containerId: 'other', execId: '' });
    assert.equal((await readAll(agent, 'stdout', 'other')).toString(), 'other\n');
    assert.equal((await agent.waitProcess({ containerId: 'other', execId: '' })).status, 0);
    await agent.removeContainer({ containerId: 'other' });
    await agent.removeContainer({ containerId: 'holds' });
    assert.equal(Buffer.from((await read).data).toString(), 'before');
  });

  it('leaves no descriptor when it is removed', async () => {
    const descriptors = (): number => readdirSync(`/proc/${process.process.pid}/fd`).length;
    const before = descriptors();
    const args = ['sleep', '98762'];
    await start('leaves', args);
    const pid = await processOf(args);
    for (const fd of [0, 1, 2]) await hold(pid, fd);
    // It fails, or is made when the holder is killed.
    const written = agent.writeStdin({ containerId: 'leaves', execId: '', data: Buffer.from('x') });
    await Promise.all([agent.removeContainer({ containerId: 'leaves' }), Promise.allSettled([written])]);
    while (descriptors() > before) await delay(5);
  });
});
