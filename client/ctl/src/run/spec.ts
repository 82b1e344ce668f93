import { kataDirectory } from '@kata-agent/catalogue';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { alwaysMasked, alwaysReadOnly, defaultCapabilities } from '@kata-agent/gate';
import type { CreateContainerRequestSchema, StorageSchema } from '@kata-agent/protocol/agent';
import type { ProcessSchema } from '@kata-agent/protocol/oci';
import { CommandError, ExitCode } from '@kata-agent/cli';

/**
 * Defaults for a container, as container engines commonly set them (sources: the OCI runtime specification's
 * config-linux.md, containerd's default spec).
 */

/** The engines' default for the environment of a container. */
export const searchPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export const defaultMounts: readonly MountRow[] = [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
  },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
];

/** The guest's network namespace is used, as in a pod. */
const defaultNamespaces: readonly string[] = ['pid', 'ipc', 'uts', 'mount'];

/** As in newer engines, with the files that allow power analysis of other containers. */
export const maskedPaths: readonly string[] = [...alwaysMasked, '/sys/devices/virtual/powercap'];

const largestId = 0xffff_fffe;

/**
 * Where writes to the rootfs go.
 * - `layer`: to an overlay above the directory, which is removed with the container.
 * - `read-only`: writes fail.
 * - `writable`: to the directory itself.
 */
export type RootfsMode = 'layer' | 'read-only' | 'writable';

/** A container that runs one program in a directory of the guest. */
export interface ContainerRequest {
  readonly id: string;
  /** A directory in the guest. */
  readonly rootfs: string;
  readonly rootfsMode: RootfsMode;
  readonly hostname: string;
  readonly process: MessageInitShape<typeof ProcessSchema>;
}

/** Kata's storage option for an overlay whose upper directory the agent creates next to the rootfs and removes. */
const ownUpperLayer = 'io.katacontainers.fs-opt.overlay-rw';

/** The identifiers that an agent accepts (S8). */
const identifier = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/** Returns the CreateContainer request. Throws a CommandError (wrong use). */
export function containerSpec(
  request: ContainerRequest,
): MessageInitShape<typeof CreateContainerRequestSchema> {
  checkIdentifier(request.id, '--name');
  const root = placeRoot(request);
  return {
    containerId: request.id,
    execId: request.id,
    storages: root.storages,
    OCI: {
      Version: '1.0.2',
      Process: request.process,
      Root: { Path: root.path, Readonly: request.rootfsMode === 'read-only' },
      Hostname: request.hostname,
      Mounts: defaultMounts.map((row) => ({ ...row, options: [...row.options] })),
      Linux: {
        Namespaces: defaultNamespaces.map((type) => ({ Type: type })),
        MaskedPaths: [...maskedPaths],
        ReadonlyPaths: [...alwaysReadOnly],
      },
    },
  };
}

interface Root {
  readonly path: string;
  readonly storages: MessageInitShape<typeof StorageSchema>[];
}

/** The agent mounts a directory outside Kata's own only read-only: a writable one must be a storage. */
function placeRoot({ id, rootfs, rootfsMode }: ContainerRequest): Root {
  if (!rootfs.startsWith('/')) {
    throw new CommandError(ExitCode.Usage, `rootfs '${rootfs}': must be an absolute path`, {
      help: ['pass a directory in the guest'],
    });
  }
  const mountPoint = `${kataDirectory}/${id}/rootfs`;
  switch (rootfsMode) {
    case 'read-only':
      return { path: rootfs, storages: [] };
    case 'writable':
      return {
        path: mountPoint,
        storages: [{ driver: 'bind', source: rootfs, fstype: 'bind', mountPoint, options: ['bind'] }],
      };
    case 'layer': {
      if (/[:,\\]/.test(rootfs)) {
        throw new CommandError(
          ExitCode.Usage,
          `rootfs '${rootfs}': an overlay does not support a path with : , or \\`,
          {
            help: ['pass --read-only or --writable, or a directory with another name'],
          },
        );
      }
      const options = [`lowerdir=${rootfs}`, ownUpperLayer];
      const layer = { driver: 'overlayfs', source: 'overlay', fstype: 'overlay', mountPoint, options };
      return { path: mountPoint, storages: [layer] };
    }
  }
}

export function checkIdentifier(text: string, what: string): void {
  if (identifier.test(text)) return;
  throw new CommandError(ExitCode.Usage, `${what} '${text}' is not a valid ID`, {
    help: ['an ID has at most 128 letters, digits, _ . and -, and starts with a letter or digit'],
  });
}

/** A program to start, as given on the command line. */
export interface ProcessRequest {
  readonly args: readonly string[];
  /** `NAME=value`, or `NAME` for the value in the caller's environment. */
  readonly env: readonly string[];
  /** `uid`, `uid:gid` or `uid:gid,gid…`, as numbers; undefined: root. */
  readonly user: string | undefined;
  readonly cwd: string | undefined;
  readonly terminal: boolean;
  /** The size of the caller's terminal, if there is one. */
  readonly size: TerminalSize | undefined;
}

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

/** Returns the process of a new container, as engines make it. Throws a CommandError (wrong use). */
export function processSpec(
  request: ProcessRequest,
  ownEnvironment: Readonly<Record<string, string | undefined>>,
): MessageInitShape<typeof ProcessSchema> {
  const capabilities = [...defaultCapabilities];
  return {
    ...execSpec(request, ownEnvironment),
    Capabilities: { Bounding: capabilities, Effective: capabilities, Permitted: capabilities },
    NoNewPrivileges: true,
  };
}

/** A process that states no privileges. */
type ExecSpec = Omit<Exclude<MessageInitShape<typeof ProcessSchema>, { $typeName: string }>, '$typeName'>;

/**
 * Returns the process of an exec. It states no capabilities, and not whether it can gain privileges: agents, Kata's too, give it what its
 * container's first process has. Throws a CommandError (wrong use).
 */
export function execSpec(
  request: ProcessRequest,
  ownEnvironment: Readonly<Record<string, string | undefined>>,
): ExecSpec {
  const cwd = request.cwd ?? '/';
  if (!cwd.startsWith('/')) {
    throw new CommandError(ExitCode.Usage, `--cwd '${cwd}': the working directory must be an absolute path`);
  }
  return {
    Terminal: request.terminal,
    ...(request.size === undefined || !request.terminal
      ? {}
      : { ConsoleSize: { Height: request.size.rows, Width: request.size.columns } }),
    User: parseUser(request.user ?? '0:0'),
    Args: [...request.args],
    Env: environment(request, ownEnvironment),
    Cwd: cwd,
  };
}

/** Later values of a name replace earlier ones: an environment with duplicate names can be rejected. */
function environment(
  request: ProcessRequest,
  ownEnvironment: Readonly<Record<string, string | undefined>>,
): string[] {
  const given = [searchPath, ...(request.terminal ? ['TERM=xterm'] : []), ...request.env];
  const values = new Map<string, string>();
  for (const entry of given) {
    const equals = entry.indexOf('=');
    const name = equals < 0 ? entry : entry.slice(0, equals);
    const value = equals < 0 ? ownEnvironment[name] : entry.slice(equals + 1);
    if (name === '' || entry.includes('\0')) {
      throw new CommandError(ExitCode.Usage, `--env '${entry}': must be NAME=value or NAME`);
    }
    if (value !== undefined) values.set(name, value);
  }
  return [...values].map(([name, value]) => `${name}=${value}`);
}

function parseUser(text: string): { UID: number; GID: number; AdditionalGids: number[] } {
  const match = /^([0-9]{1,10})(?::([0-9]{1,10})((?:,[0-9]{1,10})*))?$/.exec(text);
  const [, uid = '', gid = '0', more = ''] = match ?? [];
  const numbers = [uid, gid, ...more.split(',').slice(1)].map(Number);
  if (match === null || numbers.some((number) => number > largestId)) {
    throw new CommandError(ExitCode.Usage, `--user '${text}': must be uid, uid:gid or uid:gid,gid`, {
      help: ['use numbers: names are defined only in the rootfs'],
    });
  }
  const [UID = 0, GID = 0, ...AdditionalGids] = numbers;
  return { UID, GID, AdditionalGids };
}

interface MountRow {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}
