// The machine of a peer pod: an agent in namespaces of its own, with a root of its own that has /pause_bundle.
import type { ChildProcess } from 'node:child_process';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawnWithParentDeathSignal } from '@kata-agent/tool-command/parent-death-signal';
import { agentProgram, namespaceOptions, ownRoot } from '../guest/paths.js';
import { Forwarder } from './forwarder.js';
import type { RemoteMachine } from './remote-hypervisor.js';

const startSeconds = 60;

/** The namespace of the pod, which the forwarder of cloud-api-adaptor names. */
const podNetworkNamespace = '/run/netns/podns';

/** The interface in that namespace. */
export const podInterface = 'pod0';

/** The interface of the machine, over which it reaches the registry. */
export const machineInterface = 'eth0';

export interface MachineOptions {
  /** For sockets, logs and the audit log. */
  readonly directory: string;
  /** The text of the agent's configuration, without `server_addr` and `[audit]`. */
  readonly configuration: string;
  readonly pauseBundle: string;
  /** The process in whose network namespace the registry is. */
  readonly hostPid: number;
  /** The address of the registry. */
  readonly registryAddress: string;
  readonly address: string;
  /** Whether a forwarder is between shim and agent, as in a peer pod. */
  readonly forwarded: boolean;
}

/** What the machine has beside its root. As PID 1 the agent would mount the file systems of a guest. */
const script = `${ownRoot}cp -a "$1" /pause_bundle
hostname peer-machine
ip link set lo up
ip netns add podns
ip link add ${podInterface} netns podns type veth peer name pod1
shift
"$@" & wait
`;

export class PeerMachine implements RemoteMachine {
  readonly socket: string;
  readonly auditLog: string;
  readonly forwarder: Forwarder | undefined;
  readonly #options: MachineOptions;
  readonly #agentSocket: string;
  readonly #log: string;
  #process: ChildProcess | undefined;
  #isReady = false;

  constructor(options: MachineOptions) {
    const at = (name: string): string => join(options.directory, name);
    mkdirSync(options.directory);
    this.#options = options;
    this.#agentSocket = at('agent.sock');
    this.#log = at('agent.log');
    this.auditLog = at('audit.log');
    this.forwarder = options.forwarded
      ? new Forwarder(at('forwarder.sock'), this.#agentSocket, podNetworkNamespace)
      : undefined;
    this.socket = this.forwarder?.socket ?? this.#agentSocket;
  }

  /** Whether the machine has started. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** The lines of the agent's log. */
  get log(): readonly string[] {
    return readFileSync(this.#log, 'utf8').split('\n');
  }

  /** The command lines of the processes in the machine. */
  get processes(): readonly string[] {
    return this.#inside(['ps', '-e', '-o', 'args=']).split('\n').filter(Boolean);
  }

  /** The mounts below the directories of the agent. */
  get mounts(): readonly string[] {
    return this.#inside(['cat', '/proc/mounts'])
      .split('\n')
      .filter((line) => / \/run\/kata-(?:agent|containers)\//.test(line) && !/ nsfs /.test(line));
  }

  /** The directories of containers. */
  get bundles(): readonly string[] {
    return this.#inside(['ls', '/run/kata-agent/bundles']).split('\n').filter(Boolean);
  }

  async start(): Promise<void> {
    const { directory, configuration, pauseBundle } = this.#options;
    const file = join(directory, 'agent.toml');
    writeFileSync(
      file,
      configuration.replace('[agent]\n', `[agent]\nserver_addr = "unix://${this.#agentSocket}"\n`) +
        `\n[audit]\nfile = "${this.auditLog}"\n`,
    );
    const log = openSync(this.#log, 'a');
    this.#process = spawnWithParentDeathSignal(
      'unshare',
      [
        ...namespaceOptions('net', 'uts', 'ipc'),
        'sh',
        '-c',
        script,
        'sh',
        directory,
        'pause_bundle',
        pauseBundle,
        process.execPath,
        agentProgram,
        '-c',
        file,
      ],
      { stdio: ['ignore', log, log] },
    );
    closeSync(log);
    await this.#until(
      () => this.#pid() !== undefined && this.log.some((line) => line.includes('"msg":"listening"')),
    );
    this.#connectNetwork();
    await this.forwarder?.listen();
    this.#isReady = true;
  }

  async stop(): Promise<void> {
    this.forwarder?.stop();
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    // unshare, whose end kills PID 1 of the namespace.
    child.kill('SIGKILL');
    await ended;
  }

  /** Whether the machine and its processes have ended. */
  get hasEnded(): boolean {
    return this.#process?.exitCode !== null || this.#process.signalCode !== null;
  }

  /** Connects the machine with the network of the registry. */
  #connectNetwork(): void {
    const { hostPid, registryAddress, address } = this.#options;
    const host = (...args: readonly string[]): void =>
      void run('nsenter', [`--net=/proc/${hostPid}/ns/net`, 'ip', ...args]);
    const guest = (...args: readonly string[]): void => void this.#inside(['ip', ...args]);
    const name = `kata${address.split('.').at(-1) ?? ''}`;
    host('link', 'add', name, 'type', 'veth', 'peer', 'name', machineInterface, 'netns', String(this.#pid()));
    host('link', 'set', name, 'up');
    host('route', 'add', `${address}/32`, 'dev', name);
    guest('addr', 'add', `${address}/32`, 'dev', machineInterface);
    guest('link', 'set', machineInterface, 'up');
    guest('route', 'add', `${registryAddress}/32`, 'dev', machineInterface);
  }

  /** PID 1 of the machine. */
  #pid(): number | undefined {
    const parent = this.#process?.pid;
    if (parent === undefined) return undefined;
    const [child] = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').split(' ');
    return child === undefined || child === '' ? undefined : Number(child);
  }

  #inside(command: readonly string[]): string {
    return run('nsenter', ['--target', String(this.#pid()), '--mount', '--net', '--pid', '--', ...command]);
  }

  async #until(state: () => boolean): Promise<void> {
    for (let tries = 0; !state(); tries += 1) {
      if (this.hasEnded || tries > startSeconds * 10)
        throw new Error(`the agent did not start:\n${this.log.slice(-20).join('\n')}`);
      await sleep(100);
    }
  }
}

function run(command: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, [...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
  return stdout;
}
