import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { loadSyscalls, mounts, pipeCalls } from '@kata-agent/linux';
import type { CreateContainer, ProcessRef, Storage, StreamName } from '../request/actions.js';
import { Guest } from '../guest.js';
import { directMedia } from '../media-thread/direct-media.js';
import { MediaThreads } from '../media/media-threads.js';
import { openAccess } from '../guest-access.js';
import type { GuestOptions } from '../context/guest-options.js';
import type { OciProcess, OciSpec } from '../request/oci-spec.js';
import { createContainer, removeContainer, startContainer } from '../perform/containers.js';
import { readStream, waitProcess } from '../perform/processes.js';
import { shutDown } from '../perform/sandbox.js';

/** The OCI runtime under test. */
export const runtimeName: string = process.env['OCI_RUNTIME'] ?? 'runc';
/** Its path on this machine. */
export const ociRuntime: string | undefined = ['/usr/sbin', '/usr/bin', '/usr/local/sbin']
  .map((directory) => join(directory, runtimeName))
  .find((path) => existsSync(path));
const BUSYBOX = '/usr/bin/busybox';
const APPLETS = [
  'cat',
  'dd',
  'echo',
  'head',
  'id',
  'ls',
  'mkdir',
  'mknod',
  'mount',
  'rm',
  'sh',
  'sleep',
  'stty',
  'touch',
  'true',
  'unshare',
  'yes',
];

/** Why tests with the real runtime cannot run here. With CI set, they run nevertheless, and fail. */
export const skip: string | false = reasonToSkip();

/** Returns the same for tests that need further programs, such as `mkfs.xfs`. */
export function skipWithout(...programs: readonly string[]): string | false {
  if (process.env['CI'] === 'true' || skip !== false) return skip;
  const directories = (process.env['PATH'] ?? '').split(':');
  const missing = programs.filter(
    (name) => !directories.some((directory) => existsSync(join(directory, name))),
  );
  return missing.length === 0 ? false : `needs ${missing.join(', ')}`;
}

function reasonToSkip(): string | false {
  if (process.env['CI'] === 'true') return false;
  if (process.getuid?.() !== 0) return 'needs root';
  if (ociRuntime === undefined) return `needs ${runtimeName} (apt-get install ${runtimeName})`;
  return existsSync(BUSYBOX) ? false : 'needs busybox (apt-get install busybox-static)';
}

/** The resources that containers use, in a form that tests can compare: a removed container must leave none. */
export interface Traces {
  readonly processes: readonly string[];
  readonly mounts: readonly string[];
  readonly cgroups: readonly string[];
  readonly files: readonly string[];
  readonly descriptors: number;
}

/** A guest on this machine with directories of its own and a root file system of busybox. */
export class RealGuest {
  readonly guest: Guest;
  readonly directory: string;
  readonly kata: string;
  readonly state: string;
  /** The root of all containers; `paths` of the access lists it as writable. */
  readonly rootfs: string;
  readonly log: string[];
  /** Prefix of container ids and cgroups, which separates tests that run at the same time. */
  readonly name: string;
  readonly signal: AbortSignal = new AbortController().signal;
  // Neither a SIGCHLD handler nor a promise keeps Node alive.
  readonly #alive = setInterval(() => undefined, 60_000);
  #count = 0;
  #specs = 0;

  private constructor(guest: Guest, directory: string, log: string[]) {
    this.guest = guest;
    this.directory = directory;
    this.name = basename(directory);
    this.kata = join(directory, 'kata');
    this.state = join(directory, 'state');
    this.rootfs = join(directory, 'rootfs');
    this.log = log;
  }

  static async open(
    options: Partial<GuestOptions> = {},
    directory: string = mkdtempSync(join(tmpdir(), 'kg-')),
  ): Promise<RealGuest> {
    const log: string[] = [];
    const access = options.access ?? openAccess;
    const rootfs = { path: join(directory, 'rootfs'), writable: true };
    // Scripted system calls have an effect in this thread only.
    const media = options.syscalls === undefined ? await oneThread() : directMedia(options.syscalls);
    const guest = await Guest.open({
      media,
      syscalls: loadSyscalls(),
      runtime: ociRuntime,
      log: (level, message) => log.push(`${level}: ${message}`),
      namesOf: ({ name = '' }) => ({ inPod: name, ofEngine: '' }),
      ...options,
      access: { ...access, paths: [...access.paths, rootfs] },
      paths: { kata: join(directory, 'kata'), state: join(directory, 'state'), ...options.paths },
    });
    await guest.context.capabilities();
    const real = new RealGuest(guest, directory, log);
    real.makeRootfs();
    return real;
  }

  async close(): Promise<void> {
    await shutDown(this.guest);
    clearInterval(this.#alive);
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Creates the root file system and the shared directory, which DestroySandbox removes. */
  makeRootfs(): void {
    mkdirSync(join(this.kata, 'shared/containers'), { recursive: true });
    if (!existsSync(this.rootfs)) makeRootfs(this.rootfs);
  }

  id(): string {
    this.#count += 1;
    return `${this.name}-${this.#count}`;
  }

  /** Returns a storage of a request with its mount point below Kata's directory. */
  storage(driver: string, path: string, more: Partial<Storage> = {}): Storage {
    const mountPoint = join(this.kata, path);
    const empty = { driverOptions: [], source: '', fstype: '', options: [], shared: false };
    return { ...empty, driver, mountPoint, ...more };
  }

  /** Returns a spec with a cgroup of its own. */
  spec(args: readonly string[], more: Partial<OciProcess> = {}): OciSpec {
    this.#specs += 1;
    return {
      ociVersion: '1.0.2',
      process: this.process(args, more),
      root: { path: this.rootfs },
      mounts: [
        { destination: '/proc', type: 'proc', source: 'proc' },
        {
          destination: '/dev',
          type: 'tmpfs',
          source: 'tmpfs',
          options: ['nosuid', 'mode=755', 'size=65536k'],
        },
        {
          destination: '/dev/pts',
          type: 'devpts',
          source: 'devpts',
          options: ['newinstance', 'ptmxmode=0666'],
        },
      ],
      linux: {
        cgroupsPath: `${this.name}:test:${this.#specs}`,
        namespaces: ['pid', 'ipc', 'uts', 'mount', 'network'].map((type) => ({ type })),
      },
    };
  }

  process(args: readonly string[], more: Partial<OciProcess> = {}): OciProcess {
    const capabilities = ['CAP_KILL', 'CAP_MKNOD', 'CAP_SYS_ADMIN'];
    return {
      user: { uid: 0, gid: 0 },
      args,
      env: ['PATH=/bin', 'TERM=xterm'],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      ...more,
    };
  }

  /** Creates and starts a container; returns its id. */
  async run(
    args: readonly string[],
    more: Partial<CreateContainer> & { process?: Partial<OciProcess> } = {},
  ): Promise<string> {
    const { process: processMore, ...action } = more;
    const id = action.id ?? this.id();
    const spec = this.spec(args, processMore);
    await createContainer(this.guest, { id, execId: id, spec, storages: [], sandboxPidns: false, ...action });
    await startContainer(this.guest, id);
    await settled();
    return id;
  }

  wait(containerId: string, execId = ''): Promise<number> {
    return waitProcess(this.guest, { containerId, execId }, this);
  }

  /** Reads a stream to its end. */
  async readAll(containerId: string, stream: StreamName = 'stdout', execId = ''): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    for (;;) {
      const chunk = await readStream(this.guest, { containerId, execId, stream, length: 32 * 1024 }, this);
      if (chunk.length === 0) return Buffer.concat(chunks);
      chunks.push(chunk);
    }
  }

  /** Reads a stream until it has delivered `text`; returns all that was read. */
  async readUntil(text: string, ref: ProcessRef, stream: StreamName = 'stdout'): Promise<string> {
    let all = '';
    while (!all.includes(text)) {
      const chunk = await readStream(this.guest, { ...ref, stream, length: 32 * 1024 }, this);
      if (chunk.length === 0)
        throw new Error(`the stream ended before ${JSON.stringify(text)}: ${JSON.stringify(all)}`);
      all += Buffer.from(chunk).toString();
    }
    return all;
  }

  remove(id: string): Promise<void> {
    return removeContainer(this.guest, { id, timeoutSeconds: 0 });
  }

  /** Reports whether the kernel has frozen a container of this guest. */
  isFrozen(): boolean {
    return cgroupsNamed(this.name).some((path) => {
      const [v1, v2] = ['freezer.state', 'cgroup.events'].map((name) => join(path, name));
      const text = [v1, v2].map((file) =>
        file !== undefined && existsSync(file) ? readFileSync(file, 'utf8') : '',
      );
      return /FROZEN|frozen 1/.test(text.join());
    });
  }

  traces(): Traces {
    return {
      processes: readdirSync('/proc/self/task').flatMap((task) =>
        readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
      ),
      mounts: mounts()
        .map(({ target }) => target)
        .filter((target) => target.startsWith(this.directory)),
      cgroups: cgroupsNamed(this.name),
      files: [this.kata, this.state]
        .flatMap(filesBelow)
        // crun keeps its seccomp filters.
        .filter((file) => !file.startsWith(join(this.state, 'crun/.cache'))),
      descriptors: readdirSync('/proc/self/fd').length,
    };
  }
}

/** A thread has descriptors of its own: with one thread, which is there from the beginning, their number does not change. */
async function oneThread(): Promise<MediaThreads> {
  const media = new MediaThreads({
    syscalls: loadSyscalls(),
    log: () => undefined,
    limits: { running: 1, slowMilliseconds: 60_000, milliseconds: 60_000 },
  });
  await media.prepare();
  return media;
}

/** Recursive readdirSync follows links in some releases of Node.js, and a test may have created one to /bin. */
function filesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    return entry.isDirectory() ? [path, ...filesBelow(path)] : [path];
  });
}

function makeRootfs(directory: string): void {
  mkdirSync(join(directory, 'bin'), { recursive: true });
  for (const name of ['dev', 'proc', 'tmp', 'etc']) mkdirSync(join(directory, name));
  copyFileSync(BUSYBOX, join(directory, 'bin/busybox'));
  for (const applet of APPLETS) symlinkSync('busybox', join(directory, 'bin', applet));
}

/** Finds the cgroups of a test. They are directly below the root of a hierarchy; other tests' cgroups change concurrently. */
function cgroupsNamed(name: string): readonly string[] {
  const root = '/sys/fs/cgroup';
  const tops = ['', ...readdirSync(root)]
    .map((top) => join(root, top, name))
    .filter((path) => existsSync(path));
  return tops.flatMap((top) => [
    top,
    ...readdirSync(top, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name)),
  ]);
}

/** Waits until pipes are closed, and for some turns of the event loop: closing a handle takes one or two. */
export async function settled(): Promise<void> {
  for (let turns = 0; turns < 5 || pipeCalls.running > 0; turns += 1) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}
