import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { AgentService } from '@kata-agent/protocol/agent';
import { type Channel, type Client, connect, createClient } from '@kata-agent/ttrpc';
import { withGuestPaths } from './guest-paths.js';
import { agentProgram } from './repository.js';

/** What PID 1 does with a process that has lost its parent, once it has ended. */
type Init = 'waits' | 'never waits';

const inits: Readonly<Record<Init, string>> = {
  // While a shell waits for its own child it waits for every other one too, as systemd does.
  waits: 'while :; do sleep 0.02; done',
  'never waits': 'exec sleep infinity',
};

/** Of util-linux, as unshare. */
const diesWithTest = 'setpriv';

const ownNamespaces =
  'unshare --mount --net --pid --fork --mount-proc --kill-child --propagation private'.split(' ');

/** One life of an agent. */
export interface Run {
  /** Of the agent, as the test sees it. */
  readonly pid: number;
  readonly agent: Client<typeof AgentService>;
  readonly channel: Channel;
  readonly process: ChildProcess;
  readonly log: readonly string[];
  /** Resolves when the agent has ended; with its exit code, null after a signal. */
  readonly ended: Promise<number | null>;
  /** SIGKILL, and waits until it is gone. */
  readonly kill: () => Promise<void>;
}

/**
 * As much of a virtual machine as it takes to kill an agent and start another: namespaces of their own for mounts, network
 * and processes, which a PID 1 holds while there is no agent. All that runs in it ends with it.
 */
export class GuestMachine {
  readonly folder: string;
  readonly #init: ChildProcess;
  readonly #socket: string;
  #pid = 0;

  private constructor(init: Init, agentTable: string) {
    this.folder = mkdtempSync(join(tmpdir(), 'kata-agent-machine-'));
    this.#socket = join(this.folder, 'agent.sock');
    const script = `mount -t tmpfs -o mode=755 kata-test /run && echo up && ${inits[init]}`;
    this.#init = spawn(diesWithTest, ['--pdeathsig', 'KILL', ...ownNamespaces, 'sh', '-c', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const audit = `[audit]\nfile = "${join(this.folder, 'audit.log')}"\n`;
    const config = withGuestPaths(`${agentTable}[api]\nallowed_endpoints = ["*"]\n${audit}`);
    writeFileSync(join(this.folder, 'config.toml'), config);
  }

  /** `agentTable`: of its agents' configuration. */
  static async boot(init: Init = 'waits', agentTable = ''): Promise<GuestMachine> {
    const machine = new GuestMachine(init, agentTable);
    if (machine.#init.stdout === null) throw new Error('PID 1 has no stdout');
    await once(machine.#init.stdout, 'data');
    machine.#pid = childrenOf(machine.#init.pid ?? 0)[0] ?? 0;
    return machine;
  }

  /** Of PID 1, as the test sees it. */
  get pid(): number {
    return this.#pid;
  }

  /** A path in the machine, as the test sees it. */
  path(inside: string): string {
    return join('/proc', String(this.#pid), 'root', inside);
  }

  /** Runs a command in the machine; answers its stdout. */
  run(...command: readonly string[]): string {
    const done = spawnSync('nsenter', [...this.#enter(), ...command], { encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`${command.join(' ')}: ${done.stderr}`);
    return done.stdout;
  }

  /**
   * Starts an agent and waits until it listens. `node`: arguments of Node's own. `stateDirectory`: for one agent beside
   * another; it has a socket and an audit log of its own.
   */
  async start({
    node = [],
    env = {},
    stateDirectory,
  }: {
    node?: readonly string[];
    env?: NodeJS.ProcessEnv;
    stateDirectory?: string;
  } = {}): Promise<Run> {
    const path = stateDirectory === undefined ? this.#socket : `${this.#socket}.${basename(stateDirectory)}`;
    rmSync(path, { force: true });
    const beside =
      stateDirectory === undefined
        ? ['-c', join(this.folder, 'config.toml')]
        : ['--state-dir', stateDirectory];
    const program = [process.execPath, ...node, agentProgram, ...beside];
    const child = spawn('nsenter', [...this.#enter(), ...program, '--server-addr', `unix://${path}`], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env['PATH'], ...env },
    });
    const ended = once(child, 'exit').then(([code]) => code as number | null);
    const log: string[] = [];
    const listening = new Promise<boolean>((resolve) => {
      createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
        log.push(line);
        if (line.includes('"msg":"listening"')) resolve(true);
      });
    });
    if (!(await Promise.race([listening, ended.then(() => false)])))
      throw new Error(`the agent ended before it listened:\n${log.join('\n')}`);
    const socket = connectSocket(path);
    await once(socket, 'connect');
    const channel = connect(socket);
    const agent = createClient(AgentService, channel);
    const kill = async (): Promise<void> => {
      // nsenter stays outside: the agent is its child.
      if (child.exitCode === null && child.signalCode === null)
        for (const pid of childrenOf(child.pid ?? 0)) process.kill(pid, 'SIGKILL');
      await ended;
    };
    return { pid: childrenOf(child.pid ?? 0)[0] ?? 0, agent, channel, process: child, log, ended, kill };
  }

  /**
   * Runs an agent that is expected to end by itself, below the program of `wrapper` if there is one. One that listens instead
   * is killed.
   */
  async refused({
    args = [],
    wrapper = [],
  }: {
    readonly args?: readonly string[];
    readonly wrapper?: readonly string[];
  } = {}): Promise<{
    readonly code: number | null;
    readonly stderr: string;
  }> {
    const address = `unix://${join(this.folder, 'refused.sock')}`;
    const program = [process.execPath, agentProgram, '--server-addr', address, ...args];
    const child = spawn('nsenter', [...this.#enter(), ...wrapper, ...program], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      if (!stderr.includes('"msg":"listening"')) return;
      for (const pid of descendantsOf(child.pid ?? 0)) process.kill(pid, 'SIGKILL');
    });
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, stderr };
  }

  /** Command lines that run in the machine, each once; PID 1 and its own children and the agent excepted. */
  programs(): readonly string[] {
    const lines = this.run('ps', '-e', '-o', 'stat=,args=')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('Z') && !ordinary.test(line))
      .map((line) => line.replace(/^\S+\s+/, ''));
    // A shell that is about to run another program is there twice for a moment.
    return [...new Set(lines)].sort();
  }

  /** Sends a signal to a process by its pid in the machine. */
  signal(pid: number, name: string): void {
    this.run('kill', `-${name}`, String(pid));
  }

  async dispose(): Promise<void> {
    const gone = once(this.#init, 'exit');
    this.#init.kill('SIGKILL');
    await gone;
    rmSync(this.folder, { recursive: true, force: true });
  }

  #enter(): readonly string[] {
    return ['--target', String(this.#pid), '--mount', '--net', '--pid', '--'];
  }
}

/** What is not of a container; in brackets, a process that has let go of its memory and is about to end. */
const ordinary = /^\S+\s+\[|sh -c mount -t tmpfs|sleep 0\.0\d$|sleep infinity|kata-agent\.mjs|ps -e -o/;

function childrenOf(pid: number): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

/** The last first. */
function descendantsOf(pid: number): readonly number[] {
  return childrenOf(pid).flatMap((child) => [...descendantsOf(child), child]);
}
