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
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawnWithParentDeathSignal } from '@kata-agent/tool-command/parent-death-signal';
import { givenConfiguration } from '../guest/paths.js';
import { writeNetwork } from './network.js';
import { makeImages, pauseImageName } from './image.js';

/** The name of the runtime in containerd's configuration. */
export const runtimeHandler = 'kata';

/** `native` copies the layers, `overlayfs` mounts them. */
export type Snapshotter = 'native' | 'overlayfs';

const startSeconds = 60;

const cgroups = '/sys/fs/cgroup';

/** The cgroup of the pods. */
export const cgroupParent: string = `kata-pod-${process.pid}`;

export class Containerd {
  readonly socket: string;
  /** The path of a configuration for the agents of the pods that start while it is there. Absent: they serve everything. */
  readonly guestConfiguration: string;
  readonly #snapshotter: Snapshotter;
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
    snapshotter: Snapshotter,
  ) {
    this.#snapshotter = snapshotter;
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
    { kata, snapshotter }: { readonly kata: string; readonly snapshotter: Snapshotter },
  ): Promise<Containerd> {
    const socket = join(work, 'containerd.sock');
    const log = join(work, 'containerd.log');
    const configuration = writeConfiguration(work, socket, { kata, snapshotter });
    const syslog = await Syslog.listen(work);
    const output = openSync(log, 'a');
    const script = [
      'mount -t tmpfs -o mode=755 kata /run',
      // The runtime binds its directories as slaves of shared mounts.
      'mount --make-rshared /',
      'ip link set lo up',
      'ln -s "$1" /run/syslog',
      'exec containerd -c "$0"',
    ].join(' && ');
    const namespaces = '--mount --net --pid --fork --mount-proc --kill-child --propagation private';
    const child = spawnWithParentDeathSignal(
      'unshare',
      [...namespaces.split(' '), 'sh', '-c', script, configuration, syslog.path],
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
    const containerd = new Containerd(work, socket, log, child, pid, syslog, snapshotter);
    containerd.#import(makeImages(work));
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

  #import(archive: string): void {
    this.#ctr('images', 'import', '--snapshotter', this.#snapshotter, archive);
  }

  #ctr(...command: readonly string[]): void {
    const args = ['--address', this.socket, '-n', 'k8s.io', ...command];
    const { status, stderr } = spawnSync('ctr', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`ctr ${command.slice(0, 2).join(' ')}: ${stderr}`);
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

/** Writes the configuration of containerd and returns its path. `kata`: the path of that of Kata's runtime. */
function writeConfiguration(
  work: string,
  socket: string,
  { kata, snapshotter }: { readonly kata: string; readonly snapshotter: Snapshotter },
): string {
  const network = writeNetwork(work);
  const path = join(work, 'containerd.toml');
  writeFileSync(
    path,
    `version = 2
root = "${join(work, 'containerd')}"
state = "/run/containerd"

[grpc]
address = "${socket}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${pauseImageName}"
disable_apparmor = true
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "${network}"
conf_dir = "${network}"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "${snapshotter}"
default_runtime_name = "${runtimeHandler}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.${runtimeHandler}]
runtime_type = "io.containerd.kata.v2"
privileged_without_host_devices = true
pod_annotations = ["io.katacontainers.*"]

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.${runtimeHandler}.options]
ConfigPath = "${kata}"
`,
  );
  return path;
}
