// Runs a command in a root file system, in new namespaces for mounts, processes, cgroups, host name and IPC. It
// shares this machine's network, to reach the package registries.
import { once } from 'node:events';
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { spawnWithParentDeathSignal } from '@kata-agent/tool-command/parent-death-signal';
import { type CreatedCgroup, createCgroups, mountCommands, removeCgroups } from './cgroups.js';

/** A command to run in a root file system. */
export interface RootCommand {
  /** A line of sh. */
  readonly line: string;
  /** The working directory, a path in the root. */
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Kills the command. */
  readonly signal: AbortSignal;
}

/** The output of `losetup --json`. */
interface LoopDevices {
  readonly loopdevices: readonly {
    readonly name: string;
    readonly 'back-ino': number;
    readonly 'back-maj:min': string;
  }[];
}

const namespaces = '--mount --pid --uts --ipc --fork --kill-child --propagation private'.split(' ');

/**
 * Returns the script that runs in the new namespaces, with this machine's sh: `$1` is the root, the rest is the
 * command.
 */
function setupScript(made: readonly CreatedCgroup[]): string {
  return [
    'set -e',
    // The command's own PATH is for the command only.
    'command_path=$PATH',
    'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
    // pivot_root(2) requires a mount point.
    'mount --bind "$1" "$1"',
    'cd "$1"',
    'shift',
    'mount -t proc proc proc',
    'mount -t sysfs sysfs sys',
    'mount -t devtmpfs devtmpfs dev',
    'mkdir -p dev/pts dev/shm',
    'mount -t devpts -o newinstance,gid=5,mode=620,ptmxmode=666 devpts dev/pts',
    'mount -t tmpfs tmpfs dev/shm',
    'mount -t tmpfs -o mode=755 tmpfs run',
    ...mountCommands(made),
    'pivot_root . mnt',
    'cd /',
    'umount -l /mnt',
    // Without exec, so that the shell is PID 1 and reaps orphaned processes.
    'set +e',
    'PATH=$command_path',
    '"$@"',
    'exit $?',
  ].join('\n');
}

/**
 * The script that joins the cgroups, then creates the cgroup namespace: its roots are the cgroups of its
 * creator.
 */
const joinScript =
  'for f in $CGROUPS; do echo 0 > "$f/cgroup.procs"; done; unset CGROUPS; exec /usr/bin/unshare --cgroup /bin/sh -c "$0" sh "$@"';

/**
 * Runs a line of sh in a root and returns its exit code. The output goes to stderr. If the signal aborts, kills
 * all processes of the command and rejects with the signal's reason.
 */
export async function runInRoot(
  rootDirectory: string,
  { line, cwd, env, signal }: RootCommand,
): Promise<number | null> {
  const made = await createCgroups(`kata-fresh-root-${process.pid}-${Date.now()}`);
  try {
    signal.throwIfAborted();
    const command = ['sh', '-c', `cd "$0" || exit; ${line}`, cwd];
    const child = spawnWithParentDeathSignal(
      '/usr/bin/unshare',
      [...namespaces, '/bin/sh', '-c', joinScript, setupScript(made), rootDirectory, ...command],
      {
        stdio: ['ignore', 2, 2],
        env: { ...env, CGROUPS: made.map(({ directory }) => directory).join(' ') },
      },
    );
    // unshare kills the first process of the PID namespace when it dies (--kill-child), and with it all others.
    const kill = (): void => void child.kill('SIGKILL');
    signal.addEventListener('abort', kill);
    await once(child, 'close');
    signal.removeEventListener('abort', kill);
    signal.throwIfAborted();
    return child.exitCode;
  } finally {
    await removeCgroups(made);
  }
}

/** Detaches the loop devices whose backing file is in the root, which killed tests leave. */
export function detachLoops(rootDirectory: string): void {
  const { dev } = statSync(rootDirectory);
  const listed = execFileSync('losetup', ['--list', '--json', '--output', 'NAME,BACK-INO,BACK-MAJ:MIN'], {
    encoding: 'utf8',
  });
  if (listed.trim() === '') return;
  const { loopdevices }: LoopDevices = JSON.parse(listed);
  for (const { name, 'back-ino': inode, 'back-maj:min': device } of loopdevices) {
    const [major = Number.NaN, minor = Number.NaN] = device.trim().split(':').map(Number);
    if (deviceNumber(major, minor) !== dev) continue;
    const found = execFileSync('find', [rootDirectory, '-xdev', '-inum', String(inode), '-print', '-quit'], {
      encoding: 'utf8',
    });
    if (found !== '') execFileSync('losetup', ['--detach', name]);
  }
}

/** Returns the device number as makedev(3) of glibc does, for minor numbers below 2²⁰. */
function deviceNumber(major: number, minor: number): number {
  return (minor & 0xff) + ((major & 0xfff) << 8) + (minor >> 8) * 2 ** 20;
}
