// Runs a command in a root file system, in namespaces of its own: mounts, processes, cgroups, host name, IPC. The network is
// this machine's, since the registries are there.
import { once } from 'node:events';
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { makeCgroups, mountCommands, removeCgroups } from './fresh-root-cgroups.mjs';
import { spawnTied } from './vm-spawn.mjs';

const namespaces = '--mount --pid --uts --ipc --fork --kill-child --propagation private'.split(' ');

/** sh of this machine, in its new namespaces: `$1` is the root, the rest the command. */
function setup(made) {
  return [
    'set -e',
    // The command's PATH is the command's.
    'wanted=$PATH',
    'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
    // pivot_root(2) takes a mount point.
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
    // Not by exec: as PID 1 the shell waits for processes that have lost their parent.
    'set +e',
    'PATH=$wanted',
    '"$@"',
    'exit $?',
  ].join('\n');
}

/** Joins the cgroups first: a cgroup namespace has its creator's cgroups for its roots. */
const join =
  'for f in $FOLDERS; do echo 0 > "$f/cgroup.procs"; done; unset FOLDERS; exec /usr/bin/unshare --cgroup /bin/sh -c "$0" sh "$@"';

/**
 * Runs a line of sh in a folder of the root and answers its exit code; the output goes to stderr. When the signal aborts,
 * all that runs there is killed, and it rejects with the signal's reason.
 */
export async function runInRoot(rootFolder, { line, cwd, env, signal }) {
  const made = makeCgroups(`kata-fresh-root-${process.pid}-${Date.now()}`);
  try {
    signal.throwIfAborted();
    const command = ['sh', '-c', `cd "$0" || exit; ${line}`, cwd];
    const child = spawnTied(
      '/usr/bin/unshare',
      [...namespaces, '/bin/sh', '-c', join, setup(made), rootFolder, ...command],
      {
        stdio: ['ignore', 2, 2],
        env: { ...env, FOLDERS: made.map(({ folder }) => folder).join(' ') },
      },
    );
    // unshare is tied to this process, and the namespace's first process to unshare.
    const kill = () => child.kill('SIGKILL');
    signal.addEventListener('abort', kill);
    const [code] = await once(child, 'close');
    signal.removeEventListener('abort', kill);
    signal.throwIfAborted();
    return code;
  } finally {
    await removeCgroups(made);
  }
}

/** Detaches the loop devices whose file is in the root: those of tests that were killed. */
export function detachLoops(rootFolder) {
  const { dev } = statSync(rootFolder);
  const listed = execFileSync('losetup', ['--list', '--json', '--output', 'NAME,BACK-INO,BACK-MAJ:MIN'], {
    encoding: 'utf8',
  });
  if (listed.trim() === '') return;
  for (const { name, 'back-ino': inode, 'back-maj:min': device } of JSON.parse(listed).loopdevices) {
    const [major, minor] = device.trim().split(':').map(Number);
    if (numberOf(major, minor) !== dev) continue;
    const found = execFileSync('find', [rootFolder, '-xdev', '-inum', String(inode), '-print', '-quit'], {
      encoding: 'utf8',
    });
    if (found !== '') execFileSync('losetup', ['--detach', name]);
  }
}

/** makedev(3) of glibc, for numbers below 2²⁰. */
function numberOf(major, minor) {
  return (minor & 0xff) + ((major & 0xfff) << 8) + (minor >> 8) * 2 ** 20;
}
