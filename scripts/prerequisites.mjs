// The programs that scripts and tests call, and which Debian package has each. One table: the set-up installs by it, and tests
// ask it why they cannot run.
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { architecture } from '../image/architecture.mjs';

/**
 * By Debian's package (and one row for a guest's kernel): `has` lists commands in PATH and files; `costs`, the tests that are skipped without it; `on`, what
 * differs in a Debian release, by its number: another `package` or other files, or `lacks`, why the release has no such thing.
 *
 * @typedef {{ has: readonly string[], package?: string, lacks?: string }} Place
 * @type {Record<string, Place & { costs?: string, on?: Record<string, Partial<Place>> }>}
 */
const table = {
  binutils: { has: ['strip', 'ld', 'readelf'], costs: 'all of tests/vm, image-elf, image-wrapper' },
  'xz-utils': { has: ['xz'], costs: 'all of tests/vm' },
  zstd: { has: ['zstd'], costs: 'all of tests/vm' },
  'erofs-utils': { has: ['mkfs.erofs'], costs: 'tests/vm/rootfs, tests/root/scenario, packages/guest' },
  'cryptsetup-bin': { has: ['veritysetup'], costs: 'tests/vm/rootfs, tests/vm/devices' },
  [architecture.qemu.package]: { has: [architecture.qemu.command], costs: 'all of tests/vm' },
  virtiofsd: {
    has: ['/usr/libexec/virtiofsd'],
    costs: 'guests with a shared folder: tests/vm/guest, existing-image-init',
    on: { 12: { package: 'qemu-system-common', has: ['/usr/lib/qemu/virtiofsd'] } },
  },
  'binutils-aarch64-linux-gnu': {
    has: ['aarch64-linux-gnu-objdump'],
    costs: 'the disassembly of arm64 in tests/functional/image-wrapper',
  },
  'qemu-user': { has: ['qemu-aarch64'], costs: 'the arm64 programs of tests/functional/image-wrapper' },
  e2fsprogs: {
    has: ['mkfs.ext4', 'resize2fs'],
    costs: 'disks: tests/vm, tests/root/scenario, packages/guest',
  },
  xfsprogs: { has: ['mkfs.xfs', 'xfs_growfs'], costs: 'tests/root/scenario, packages/guest' },
  runc: { has: ['runc'], costs: 'every test with a container' },
  iproute2: { has: ['ip'], costs: 'tests/root/network, tests/root/scenario' },
  iptables: { has: ['iptables', 'ip6tables'], costs: 'tests/root/network, tests/root/scenario' },
  procps: { has: ['ps', 'pgrep', 'kill'], costs: 'tests/root/restart, tests/root/kill-points' },
  kmod: { has: ['modprobe'], costs: 'tests of kernel modules' },
  'busybox-static': { has: ['busybox'], costs: 'every test with a container' },
  swtpm: { has: ['swtpm'], costs: 'tests/root/measurement, tests/vm/measured, vm-tpm' },
  'tpm2-tools': {
    has: ['tpm2_pcrread', 'tpm2_pcrextend', 'tpm2_getcap', 'tpm2_eventlog'],
    costs: 'tests/root/measurement, tests/vm/measured, vm-tpm',
  },
  'golang-go': { has: ['go'], costs: 'tests/interop, tests/vm/closed-doors' },
  'golang-github-containerd-ttrpc-dev': {
    has: ['server.go', 'stream.go'].map(
      (name) => `/usr/share/gocode/src/github.com/containerd/ttrpc/${name}`,
    ),
    costs: "Go's client and server against ours: tests/interop",
    on: {
      12: { lacks: 'Debian 12 has ttRPC 1.1, without streams and with the messages of gogo/protobuf alone' },
    },
  },
  'golang-google-protobuf-dev': {
    has: ['/usr/share/gocode/src/google.golang.org/protobuf/proto/doc.go'],
    costs: 'tests/interop',
  },
  'util-linux': {
    has: ['unshare', 'nsenter', 'setpriv', 'losetup', 'mkswap', 'mount'],
    costs: 'all of tests/root and tests/vm',
  },
  // Guests have the kernel of the release that makes them; elsewhere none is made.
  'linux-6.11': {
    has: [],
    costs: 'memory of containers taken back to a swap area: tests/vm/memory',
    on: { 12: { has: ['Linux 6.11'], lacks: 'the guests of Debian 12 have Linux 6.1' } },
  },
  apt: { has: ['apt-get', 'dpkg'], costs: 'all of tests/vm' },
  mmdebstrap: { has: ['mmdebstrap'] },
  git: { has: ['git'] },
};

/** Every row of the table. */
export const packageNames = Object.keys(table);

/** What turns Debian's packages into an image; those packages themselves are unpacked, not installed. */
const image = ['binutils', 'xz-utils', 'zstd', 'erofs-utils', 'cryptsetup-bin'];

/** What boots it. */
const vm = [...image, architecture.qemu.package, 'virtiofsd'];

/** The packages of each set-up. */
const sets = {
  demo: ['runc', 'iproute2', 'busybox-static', 'util-linux'],
  image,
  vm,
  'fresh-root': ['mmdebstrap', 'git', 'util-linux'],
  test: packageNames.filter((name) => !['mmdebstrap', 'git'].includes(name)),
};

/** Whether a command is an executable file somewhere in PATH (sbin included, which a user's PATH may lack). */
export function inPath(command) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return statSync(join(folder, command)).isFile();
    } catch (error) {
      if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(error.code)) return false;
      throw error;
    }
  });
}

/** The number of this machine's Debian release, as in os-release(5); undefined elsewhere. */
export function debianRelease(path = '/etc/os-release') {
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, 'utf8');
  return /^ID=debian$/m.test(text) ? /^VERSION_ID="?(\d+)"?$/m.exec(text)?.[1] : undefined;
}

/**
 * One thing that is needed: `name`, the table's; `package`, what to install for it here; `has`; `absent`, what of that is
 * not there; `costs`; `lacks`, why this release has no such thing, where that is so.
 */
export function prerequisite(name, release = debianRelease(), isThere = there) {
  const row = table[name];
  if (row === undefined) throw new Error(`${name}: not in the table of scripts/prerequisites.mjs`);
  const { on = {}, ...usual } = row;
  const here = { package: name, ...usual, ...on[release] };
  return { name, ...here, absent: here.has.filter((one) => !isThere(one)) };
}

function there(what) {
  return what.startsWith('/') ? existsSync(what) : inPath(what);
}

/** What a set needs and this machine does not have. */
export function missingOf(set) {
  return sets[set].map((name) => prerequisite(name)).filter(({ absent }) => absent.length > 0);
}

/** The first file of a thing that is in no PATH, as this release has it; or its usual one where it is not installed. */
export function fileOf(name) {
  return prerequisite(name).has[0];
}
