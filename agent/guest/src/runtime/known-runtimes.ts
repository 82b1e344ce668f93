import { basename } from 'node:path';
import type { GuestErrorKind } from '../guest-error.js';

/** Vulnerabilities, and the releases that fix them, one for each release line. */
interface Fix {
  readonly flaws: string;
  readonly in: readonly string[];
  /** Why a container or a request of this agent cannot use them. Absent: they can be used. */
  readonly unreachable?: string;
}

/** The properties of an OCI runtime that the agent depends on. No other code distinguishes runtimes. */
export interface KnownRuntime {
  /** The program's name, which is also that of the directory of its state. */
  readonly name: 'crun' | 'runc';
  /** The Debian package. */
  readonly package: string;
  /** The annotation of `features` with the version. */
  readonly versionAnnotation: string;
  /** Whether `--version` prints the features as well, for releases that have no `features`. */
  readonly featuresInVersion: boolean;
  /** Whether it creates containers where `/sys/fs/cgroup` has v1 hierarchies and a cgroup2 mount at `unified`. */
  readonly hybridCgroups: boolean;
  /** Sockets through which it asks systemd for a cgroup; it needs one of them. */
  readonly systemdBuses: readonly string[];
  readonly fixes: readonly Fix[];
  /** Messages, the error kind for the client, and a remedy if there is one; the first match decides. */
  readonly messages: readonly (readonly [message: RegExp, kind: GuestErrorKind, help?: string])[];
  /** A message about a program that does not exist; the first group is its name. */
  readonly missingProgram: RegExp;
  /** Other differences, for docs/reference/oci-runtimes.md. */
  readonly notes: readonly string[];
}

/** The socket of dbus-daemon or dbus-broker. */
const systemBus = '/run/dbus/system_bus_socket';

const moreMemory =
  'raise the memory limit of the container: its first process begins as the OCI runtime, which needs some MiB';

const runc: KnownRuntime = {
  name: 'runc',
  package: 'runc',
  versionAnnotation: 'org.opencontainers.runc.version',
  featuresInVersion: false,
  hybridCgroups: true,
  systemdBuses: [systemBus, '/run/systemd/private'],
  fixes: [
    { flaws: 'CVE-2025-31133, CVE-2025-52565, CVE-2025-52881', in: ['1.2.8', '1.3.3', '1.4.0'] },
    { flaws: 'CVE-2026-41579', in: ['1.3.6', '1.4.3'] },
  ],
  // 1.1 to 1.4
  messages: [
    [/no such process|process already finished|container not running|container does not exist/i, 'not-found'],
    [/with (?:given )?id .*(?:exists|in use)|container with id exists/i, 'exists'],
    [
      /cannot exec in a (?:stopped|paused) container|container not paused|container is paused/i,
      'precondition',
    ],
    [
      /cannot (?:pause|resume|start)|container .* is not (?:paused|running)|not in the created state/i,
      'precondition',
    ],
    [/executable file not found|no such file or directory: unknown|stat .*: no such file/i, 'invalid'],
    [
      /exec: "[^"]*": permission denied|permission denied: unknown|exec format error|is a directory/i,
      'invalid',
    ],
    [/unable to set memory limit|OOM-killed \(memory limit too low/, 'precondition', moreMemory],
  ],
  missingProgram: /exec: "([^"]+)": (?:executable file not found|stat [^:]+: no such file)/,
  notes: [
    'A failed `exec` ends with code 255, all other commands with 1.',
    'The process that waits for `start` catches signals: its name is `runc:[2:INIT]`.',
    '`pause` of a paused container and `resume` of a running one fail; the agent answers both itself.',
    '`list` prints `null` if there is no container.',
    'Before 1.2 it lets every container open `/dev/net/tun`, and create nodes of block devices; the agent denies both.',
    'Before 1.1.13 an exec can have another RLIMIT_NOFILE than it states (runc issue 4195).',
    'A container needs a memory limit of about 12 MiB: its process begins as runc itself.',
  ],
};

const crun: KnownRuntime = {
  name: 'crun',
  package: 'crun',
  versionAnnotation: 'run.oci.crun.version',
  featuresInVersion: true,
  hybridCgroups: false,
  systemdBuses: [systemBus],
  fixes: [
    { flaws: 'CVE-2026-47766', in: ['1.28'] },
    {
      flaws: 'CVE-2026-30892',
      in: ['1.27'],
      unreachable: 'it is in `exec --user`: the agent gives every process as a file (`exec --process`)',
    },
    {
      flaws: 'CVE-2025-24965',
      in: ['1.20'],
      unreachable: 'it is in the krun handler: the agent removes the annotations that select a handler',
    },
  ],
  // 1.8 to 1.29
  messages: [
    [/no such process|process not running|container process not found/i, 'not-found'],
    [/error opening file `[^`]*\/status`: no such file/i, 'not-found'],
    [/container `[^`]*` already exists/i, 'exists'],
    [/container `[^`]*` is (?:paused|not running|not in `created`)/i, 'precondition'],
    [/cannot open `[^`]*\/exec\.fifo`|cgroups in hybrid mode not supported/i, 'precondition'],
    [/executable file `[^`]*` not found/i, 'invalid'],
    [/exists but it is not executable|the path `[^`]*` is not a regular file/i, 'invalid'],
    [/exec format error/i, 'invalid'],
    [/the memory limit could be too low/, 'precondition', moreMemory],
    // It ended before it had answered, as by a seccomp profile that kills it.
    [/read from the init process/i, 'precondition'],
  ],
  missingProgram: /executable file `([^`]+)` not found/,
  notes: [
    'A failed `exec` ends with code 255, all other commands with 1.',
    'The process that waits for `start` catches no signal: its name is `crun`.',
    '`pause` of a paused container and `resume` of a running one succeed.',
    '`start` of a container that runs reports that it cannot open `exec.fifo`.',
    'It lets every container open `/dev/console` and `/dev/net/tun`, and create nodes of block devices; the agent denies all three.',
    '`exec` reads `/etc/passwd` of the container, not `/etc/group`.',
    '`exec` forks twice: its process in the container is a child of the agent, which ends it if it hangs.',
    'It writes a device number of -1, which means all, to cgroup v1 as it is; the agent omits such numbers.',
    'Its state directory also has `.cache`: the seccomp filters of earlier containers.',
    '`list` prints an empty list if there is no container.',
    'Without a cgroup2 mount at `unified` it uses cgroup v1; with one, v1 hierarchies are an error.',
  ],
};

/** In the order in which they are looked for in PATH (docs/adr/oci-runtime.md, "runc or crun"). */
export const knownRuntimes: readonly KnownRuntime[] = [runc, crun];

/** Returns the runtime of a program by its file name. A program of another name is expected to behave as runc. */
export function knownRuntime(program: string): KnownRuntime {
  return knownRuntimes.find(({ name }) => name === basename(program)) ?? runc;
}
