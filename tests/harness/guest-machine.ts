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
import { runtimeEnvironment, withRuntime } from './oci-runtime.js';
import { agentProgram } from './repository.js';

/** Whether PID 1 reaps an orphan that has exited. */
type Init = 'waits' | 'never waits';

const inits: Readonly<Record<Init, string>> = {
  // A shell that waits for its own child also reaps orphans, as systemd does.
  waits: 'while :; do sleep 0.02; done',
  'never waits': 'exec sleep infinity',
};

/** setpriv of util-linux: `--pdeathsig` ends the machine with the test. */
const setpriv = 'setpriv';

const ownNamespaces =
  'unshare --mount --net --pid --fork --mount-proc --kill-child --propagation private'.split(' ');

/** One agent process. */
export interface Run {
  /** The agent's pid outside of the machine. */
  readonly pid: number;
  readonly agent: Client<typeof AgentService>;
  readonly channel: Channel;
  readonly process: ChildProcess;
  readonly log: readonly string[];
  /** Resolves when the agent has ended, with its exit code, null after a signal. */
  readonly ended: Promise<number | null>;
  /** Sends SIGKILL and waits for the end of the agent. */
  readonly kill: () => Promise<void>;
}

/**
 * A replacement for a virtual machine in which agents are killed and started: mount, network and PID namespaces, which
 * PID 1 keeps while there is no agent. All processes in them end with PID 1.
 */
export class GuestMachine {
  readonly directory: string;
  readonly #init: ChildProcess;
  readonly #socket: string;
  #pid = 0;

  private constructor(init: Init, agentTable: string) {
    this.directory = mkdtempSync(join(tmpdir(), 'kata-agent-machine-'));
    this.#socket = join(this.directory, 'agent.sock');
    const script = `mount -t tmpfs -o mode=755 kata-test /run && echo up && ${inits[init]}`;
    this.#init = spawn(setpriv, ['--pdeathsig', 'KILL', ...ownNamespaces, 'sh', '-c', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const audit = `[audit]\nfile = "${join(this.directory, 'audit.log')}"\n`;
    const text = `${agentTable}[api]\nallowed_endpoints = ["*"]\n${audit}`;
    const config = withRuntime(withGuestPaths(text));
    writeFileSync(join(this.directory, 'config.toml'), config);
  }

  /** Starts PID 1. `agentTable` is the `[agent]` table of the agents' configuration. */
  static async boot(init: Init = 'waits', agentTable = ''): Promise<GuestMachine> {
    const machine = new GuestMachine(init, agentTable);
    if (machine.#init.stdout === null) throw new Error('PID 1 has no stdout');
    await once(machine.#init.stdout, 'data');
    machine.#pid = childrenOf(machine.#init.pid ?? 0)[0] ?? 0;
    return machine;
  }

  /** The pid of PID 1 outside of the machine. */
  get pid(): number {
    return this.#pid;
  }

  /** Converts a path in the machine to one outside of it. */
  path(inside: string): string {
    return join('/proc', String(this.#pid), 'root', inside);
  }

  /** Runs a command in the machine; returns its stdout. */
  run(...command: readonly string[]): string {
    const result = spawnSync('nsenter', [...this.#enter(), ...command], { encoding: 'utf8' });
    if (result.status !== 0) throw new Error(`${command.join(' ')}: ${result.stderr}`);
    return result.stdout;
  }

  /**
   * Starts an agent and waits until it listens. `node` are arguments of Node.js. An agent with a `stateDirectory` has a
   * socket and an audit log of its own.
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
    const options =
      stateDirectory === undefined
        ? ['-c', join(this.directory, 'config.toml')]
        : ['--state-dir', stateDirectory];
    const program = [process.execPath, ...node, agentProgram, ...options];
    const child = spawn('nsenter', [...this.#enter(), ...program, '--server-addr', `unix://${path}`], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        ...(stateDirectory === undefined ? {} : runtimeEnvironment),
        ...env,
      },
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
      // The child is nsenter, and the agent is its child.
      if (child.exitCode === null && child.signalCode === null)
        for (const pid of childrenOf(child.pid ?? 0)) process.kill(pid, 'SIGKILL');
      await ended;
    };
    return { pid: childrenOf(child.pid ?? 0)[0] ?? 0, agent, channel, process: child, log, ended, kill };
  }

  /**
   * Runs an agent that is expected to exit, below the program `wrapper` if given. An agent that listens instead is
   * killed.
   */
  async runRejected({
    args = [],
    wrapper = [],
  }: {
    readonly args?: readonly string[];
    readonly wrapper?: readonly string[];
  } = {}): Promise<{
    readonly code: number | null;
    readonly stderr: string;
  }> {
    const address = `unix://${join(this.directory, 'rejected.sock')}`;
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

  /** Returns the distinct command lines in the machine, except PID 1, its children and the agent. */
  programs(): readonly string[] {
    const lines = this.run('ps', '-e', '-o', 'stat=,args=')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('Z') && !outsideContainers.test(line))
      .map((line) => line.replace(/^\S+\s+/, ''));
    // A shell that executes another program appears twice for a moment.
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
    rmSync(this.directory, { recursive: true, force: true });
  }

  #enter(): readonly string[] {
    return ['--target', String(this.#pid), '--mount', '--net', '--pid', '--'];
  }
}

/** Matches processes outside of containers; brackets mark a process that is about to end. */
const outsideContainers =
  /^\S+\s+\[|sh -c mount -t tmpfs|sleep 0\.0\d$|sleep infinity|\/kata-agent(?:\.mjs)? |ps -e -o/;

function childrenOf(pid: number): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

/** Returns descendants before their parents. */
function descendantsOf(pid: number): readonly number[] {
  return childrenOf(pid).flatMap((child) => [...descendantsOf(child), child]);
}
