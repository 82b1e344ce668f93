import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { lstatSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentProcess } from '../harness/agent-process.js';
import { ctlProgram, repository } from '../harness/repository.js';
import { makeRootfs } from '../harness/rootfs.js';
import { machineFootprint, type PodFootprint, podFootprint } from './scenario-footprint.js';

export type Runtime = 'go' | 'rs';

export interface ScenarioRun {
  /** The path below examples/scenarios, without extension. */
  readonly name: string;
  readonly runtime: Runtime;
  readonly set?: Readonly<Record<string, string>>;
  /** Called with the running agent and a directory for the test, before the replay. Returns further variables. */
  readonly prepare?: (
    agent: AgentProcess,
    directory: string,
  ) => Promise<Readonly<Record<string, string>>> | Readonly<Record<string, string>>;
  /** Parts of the footprint that belong to the machine and are kept while it runs. */
  readonly ofMachine?: readonly (keyof PodFootprint)[];
  /** Matches files and mounts that are removed with the sandbox, not with its containers. */
  readonly kept?: RegExp;
  /** Called before the first call of each phase. */
  readonly before?: (phase: string, agent: AgentProcess) => void;
}

interface Replayed {
  readonly ok: boolean;
  readonly failures: readonly string[];
  readonly calls: readonly {
    readonly phase: string;
    readonly method: string;
    readonly about: string;
    readonly status: string;
  }[];
}

/**
 * Replays a scenario with kata-agent-ctl on a new agent. Checks that the agent has the same footprint before its first
 * and after its last container, and that the machine has the same footprint before the replay and after the agent.
 */
export async function runScenario(run: ScenarioRun): Promise<Replayed> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-agent-scenario-'));
  const agent = await AgentProcess.start();
  const pid = agent.process.pid ?? assert.fail('the agent has no pid');
  const keeper = await startKeeper(pid);
  const left = (): Partial<PodFootprint> =>
    machineFootprint(keeper.pid ?? assert.fail('the keeper has no pid'), parent);
  const parent = `kata-scenario-${process.pid}-${run.runtime}`;
  try {
    const rootfs = makeBusyboxRootfs(directory);
    const variables = { ...run.set, ...(await run.prepare?.(agent, directory)) };
    // From its first call on, the agent holds a socket for memory hotplug events.
    const { agent: client, channel, socket } = await agent.connect();
    await client.onlineCPUMem({});
    channel.close();
    if (!socket.destroyed) await once(socket, 'close');
    const before = left();
    const at = new Map<string, PodFootprint | undefined>();
    const checks: unknown[] = [];
    const replayed = await replay(agent, { ...run, set: { ...variables, rootfs } }, parent, (phase) => {
      if (at.has(phase)) return;
      at.set(phase, ['create', 'destroy'].includes(phase) ? podFootprint(pid, parent) : undefined);
      checks.push(errorOf(() => run.before?.(phase, agent)));
    });
    assert.deepEqual(
      replayed.failures,
      [],
      JSON.stringify(replayed.calls.filter(({ status }) => status !== 'OK')),
    );
    for (const error of checks) assert.ifError(error);
    const compared = (phase: string): Partial<PodFootprint> =>
      without(at.get(phase), run.ofMachine ?? [], run.kept);
    assert.deepEqual(compared('destroy'), compared('create'), 'the agent after its last container');
    await endPod(agent, run.runtime);
    const machine = run.ofMachine ?? [];
    assert.deepEqual(without(left(), machine), without(before, machine), 'when the agent has ended');
    return replayed;
  } finally {
    keeper.kill('SIGKILL');
    await agent.dispose();
    rmSync(directory, { recursive: true });
    execFileSync('sh', [
      '-c',
      `find /sys/fs/cgroup -depth -type d -name '${parent}' -exec rmdir {} + 2>/dev/null || :`,
    ]);
  }
}

/** Returns the error of a check, to be thrown after those of the replay; undefined without one. */
function errorOf(check: () => void): unknown {
  try {
    check();
    return undefined;
  } catch (error) {
    return error;
  }
}

function without(
  footprint: Partial<PodFootprint> | undefined,
  keys: readonly (keyof PodFootprint)[],
  kept?: RegExp,
): Partial<PodFootprint> {
  assert.ok(footprint !== undefined, 'the replay did not finish');
  const left = Object.entries(footprint).filter(([key]) => !keys.some((each) => each === key));
  return Object.fromEntries(
    left.map(([key, value]) => [
      key,
      typeof value === 'string' ? value : value.filter((name: string) => kept?.test(name) !== true),
    ]),
  );
}

/** Waits for the end of the agent: the Go runtime calls DestroySandbox, and runtime-rs ends the machine. */
async function endPod(agent: AgentProcess, runtime: Runtime): Promise<void> {
  if (runtime === 'rs') agent.process.kill('SIGTERM');
  await agent.exited;
}

/** Starts a process in the agent's namespaces, which keeps them after the agent has ended. */
async function startKeeper(agent: number): Promise<ChildProcess> {
  const args = ['--mount', '--net', '--target', String(agent), 'sh', '-c', 'echo in; exec sleep infinity'];
  const keeper = spawn('nsenter', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(keeper.stdout, 'data');
  return keeper;
}

async function replay(
  agent: AgentProcess,
  run: ScenarioRun,
  cgroupParent: string,
  before: (phase: string) => void,
): Promise<Replayed> {
  const file = `${repository}examples/scenarios/${run.name}.yaml`;
  const set = Object.entries(run.set ?? {}).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
  const args = ['replay', file, '--runtime', run.runtime, '--cgroup-parent', `/${cgroupParent}`, ...set];
  const address = ['-a', `unix://${agent.socketPath}`, '--format', 'json', '--step'];
  const child = spawn(process.execPath, [ctlProgram, ...args, ...address], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  const closed = once(child, 'close');
  try {
    for await (const line of createInterface({ input: child.stderr })) {
      const phase = /^next: (\w+)$/.exec(line)?.[1];
      if (phase === undefined) {
        stderr += `${line}\n`;
        continue;
      }
      before(phase);
      child.stdin.write('\n');
    }
  } finally {
    child.stdin.end();
  }
  const [code] = (await closed) as [number | null];
  assert.ok(stdout !== '', `exit ${code}, ${stderr}`);
  return JSON.parse(stdout) as Replayed;
}

/** Creates a root file system with all applets of busybox. */
function makeBusyboxRootfs(directory: string): string {
  const rootfs = makeRootfs(directory);
  const applets = execFileSync(join(rootfs, 'bin/busybox'), ['--list'], { encoding: 'utf8' })
    .trim()
    .split('\n');
  for (const applet of applets) {
    const path = join(rootfs, 'bin', applet);
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) symlinkSync('busybox', path);
  }
  writeFileSync(join(rootfs, 'etc/resolv.conf'), '');
  return rootfs;
}
