// containerd in namespaces of its own, with Kata's shim as a runtime.
import { type ChildProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  createWriteStream,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawnWithParentDeathSignal } from '@kata-agent/tool-command/parent-death-signal';
import { givenConfiguration, namespaceOptions, ownRoot } from '../guest/paths.js';
import {
  containerdConfiguration,
  type ContainerdRelease,
  ctrFailure,
  importArguments,
  type Snapshotter,
  writeNetwork,
} from './containerd-configuration.js';
import { makeImages } from './image.js';

const startSeconds = 60;

const cgroups = '/sys/fs/cgroup';

/** The cgroup of the pods. */
export const cgroupParent: string = `kata-pod-${process.pid}`;

export class Containerd {
  readonly socket: string;
  /** The path of a configuration for the agents of the pods that start while it is there. Absent: they serve everything. */
  readonly guestConfiguration: string;
  readonly #process: ChildProcess;
  /** PID 1 of its PID namespace. */
  readonly pid: number;
  readonly #log: string;
  readonly #syslog: Syslog;

  private constructor(
    work: string,
    socket: string,
    log: string,
    child: ChildProcess,
    pid: number,
    syslog: Syslog,
  ) {
    this.#syslog = syslog;
    this.socket = socket;
    this.guestConfiguration = join(work, 'guests', givenConfiguration);
    this.#log = log;
    this.#process = child;
    this.pid = pid;
  }

  /** Starts containerd and imports the image. `shims` is the directory with the shim, `kata` the path of its configuration. */
  static async start(
    work: string,
    shims: string,
    {
      release,
      kata,
      snapshotter,
    }: { readonly release: ContainerdRelease; readonly kata: string; readonly snapshotter: Snapshotter },
  ): Promise<Containerd> {
    const socket = join(work, 'containerd.sock');
    const log = join(work, 'containerd.log');
    const configuration = join(work, 'containerd.toml');
    const network = writeNetwork(work);
    writeFileSync(
      configuration,
      containerdConfiguration(release, { work, socket, kata, snapshotter, network }),
    );
    const syslog = await Syslog.listen(work);
    const output = openSync(log, 'a');
    // The sockets of all parts: through an overlay none can be reached.
    // The runtime binds its directories as slaves of shared mounts.
    const script = `${ownRoot}mount --make-rshared /
ip link set lo up
ln -s "$2" /run/syslog
exec containerd -c "$1"`;
    const child = spawnWithParentDeathSignal(
      'unshare',
      [...namespaceOptions('net'), 'sh', '-c', script, 'sh', dirname(work), '', configuration, syslog.path],
      {
        stdio: ['ignore', output, output],
        env: { ...process.env, PATH: `${shims}:${process.env['PATH'] ?? ''}` },
      },
    );
    closeSync(output);
    for (let tries = 0; !existsSync(socket); tries += 1) {
      if (child.exitCode !== null || tries > startSeconds * 10)
        throw new Error(`containerd did not start:\n${lastLines(log)}`);
      await sleep(100);
    }
    const pid = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim());
    const containerd = new Containerd(work, socket, log, child, pid, syslog);
    containerd.#ctr(...importArguments(release, snapshotter, makeImages(work)));
    return containerd;
  }

  /** Returns the command lines of the processes in containerd's PID namespace that contain a text. */
  processes(text: string): readonly string[] {
    const args = ['--target', String(this.pid), '--mount', '--pid', '--', 'ps', '-e', '-o', 'args='];
    const { stdout } = spawnSync('nsenter', args, { encoding: 'utf8' });
    return stdout.split('\n').filter((line) => line.includes(text));
  }

  /** Runs a command in containerd's mount namespace. */
  runInside(command: readonly string[]): void {
    const { status, stderr } = spawnSync(
      'nsenter',
      ['--target', String(this.pid), '--mount', '--', ...command],
      {
        encoding: 'utf8',
      },
    );
    if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr}`);
  }

  /** The end of containerd's log, which includes that of the shim. */
  get lastLines(): string {
    return lastLines(this.#log);
  }

  /** Kills containerd and, with its PID namespace, all that it started. */
  async stop(): Promise<void> {
    const ended = once(this.#process, 'exit');
    if (this.#process.exitCode === null) {
      process.kill(this.pid, 'SIGKILL');
      await ended;
    }
    this.#syslog.close();
    removeCgroups();
  }

  /** Gives an image another name, which need not be true. */
  rename(image: string, name: string): void {
    this.#ctr('images', 'tag', image, name);
    this.#ctr('images', 'rm', '--sync', image);
  }

  #ctr(...command: readonly string[]): void {
    const args = ['--address', this.socket, '-n', 'k8s.io', ...command];
    const { status, stderr } = spawnSync('ctr', args, { encoding: 'utf8' });
    const failure = ctrFailure(status, stderr);
    if (failure !== undefined) throw new Error(`ctr ${command.slice(0, 2).join(' ')}: ${failure}`);
  }
}

/** Receives the log of Kata's shim, which does not start without a syslog. Go's client accepts a stream socket. */
class Syslog {
  readonly path: string;
  readonly #server: Server;

  private constructor(path: string, server: Server) {
    this.path = path;
    this.#server = server;
  }

  static async listen(work: string): Promise<Syslog> {
    const path = join(work, 'syslog.sock');
    const server = createServer((client) => {
      client.on('error', () => undefined);
      client.pipe(createWriteStream(join(work, 'kata.log'), { flags: 'a' }));
    }).listen(path);
    await once(server, 'listening');
    return new Syslog(path, server);
  }

  close(): void {
    this.#server.close();
  }
}

/** Removes the cgroups that the pods' kills left. Kata names the second one, for all its sandboxes. */
function removeCgroups(): void {
  const hierarchies = [cgroups, ...directoriesIn(cgroups)];
  for (const hierarchy of hierarchies)
    for (const name of [cgroupParent, 'kata_overhead']) {
      const path = join(hierarchy, name);
      if (existsSync(path)) removeCgroup(path);
    }
}

function removeCgroup(path: string): void {
  for (const child of directoriesIn(path)) removeCgroup(child);
  // A cgroup that has processes belongs to another pod.
  if (readFileSync(join(path, 'cgroup.procs'), 'utf8') === '' && directoriesIn(path).length === 0)
    rmdirSync(path);
}

function directoriesIn(path: string): readonly string[] {
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(path, name));
}

function lastLines(path: string): string {
  return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-20).join('\n');
}
