// The programs and files that scripts and tests need, and the Debian packages that contain them. The setup
// installs them from this table, and tests that cannot run get the reason from it.
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { architecture } from './architecture.mjs';

/**
 * @typedef {{ readonly provides: readonly string[], readonly package?: string, readonly unavailable?: string }}
 * Source
 */

/**
 * @typedef {Source & { readonly neededBy?: string, readonly on?: Readonly<Record<string, Partial<Source>>> }}
 * Row
 */

/**
 * A row of the table for this release of Debian. `name`: the key in the table; `package`: the package to
 * install; `provides`: its commands and files that are needed; `missing`: those that do not exist; `neededBy`:
 * the tests that are skipped without it; `unavailable`: why this release does not have it.
 *
 * @typedef {object} Prerequisite
 * @property {string} name
 * @property {string} package
 * @property {readonly string[]} provides
 * @property {readonly string[]} missing
 * @property {string} [neededBy]
 * @property {string} [unavailable]
 */

/** @typedef {'demo' | 'image' | 'vm' | 'fresh-root' | 'test' | 'bench'} SetName */

/**
 * By Debian package, with one row for the kernel of a guest. `provides`: commands in PATH and absolute paths of
 * files; `neededBy`: the tests that are skipped without it; `on`: the differences in a release of Debian, by
 * its number.
 *
 * @type {Readonly<Record<string, Row>>}
 */
const table = {
  binutils: { provides: ['strip', 'ld', 'readelf'], neededBy: 'all of tests/vm, image-elf, image-wrapper' },
  'xz-utils': { provides: ['xz'], neededBy: 'all of tests/vm' },
  zstd: { provides: ['zstd'], neededBy: 'all of tests/vm' },
  'erofs-utils': {
    provides: ['mkfs.erofs'],
    neededBy: 'tests/vm/rootfs, tests/{root,vm}/verified-layers, tests/root/scenario, agent/guest',
  },
  fdisk: {
    provides: ['sfdisk'],
    neededBy: 'tests/root/{erofs,verified}-layers, tests/vm/{devices,verified-layers}',
  },
  'cryptsetup-bin': {
    provides: ['veritysetup'],
    neededBy: 'tests/{root,vm}/verified-layers, tests/vm/rootfs, tests/vm/devices',
  },
  [architecture.qemu.package]: { provides: [architecture.qemu.command], neededBy: 'all of tests/vm' },
  virtiofsd: {
    provides: ['/usr/libexec/virtiofsd'],
    neededBy: 'guests with a shared directory: tests/vm/guest, existing-image-init',
    on: { 12: { package: 'qemu-system-common', provides: ['/usr/lib/qemu/virtiofsd'] } },
  },
  'binutils-aarch64-linux-gnu': {
    provides: ['aarch64-linux-gnu-objdump'],
    neededBy: 'the disassembly of arm64 in tests/functional/image-wrapper',
  },
  'qemu-user': {
    provides: ['qemu-aarch64'],
    neededBy: 'the arm64 programs of tests/functional/image-wrapper',
  },
  e2fsprogs: {
    provides: ['mkfs.ext4', 'e2fsck'],
    neededBy: 'disks: tests/vm, tests/root/scenario, agent/guest',
  },
  systemd: { provides: ['systemd-analyze'], neededBy: 'the units of tests/functional/forward-documents' },
  openssl: { provides: ['openssl'], neededBy: 'tests/functional/tls-openssl' },
  zsh: { provides: ['zsh'], neededBy: 'tests/functional/completion' },
  fish: { provides: ['fish'], neededBy: 'tests/functional/completion' },
  chromium: { provides: ['/usr/bin/chromium'], neededBy: 'tests/functional/workbench' },
  xfsprogs: { provides: ['mkfs.xfs'], neededBy: 'tests/root/scenario, agent/guest' },
  runc: { provides: ['runc'], neededBy: 'every test with a container' },
  crun: { provides: ['crun'], neededBy: 'the same tests with OCI_RUNTIME=crun, tests/root/crun' },
  iproute2: { provides: ['ip'], neededBy: 'tests/root/network, tests/root/scenario' },
  iptables: { provides: ['iptables', 'ip6tables'], neededBy: 'tests/root/network, tests/root/scenario' },
  procps: { provides: ['ps', 'pgrep', 'kill'], neededBy: 'tests/root/restart, tests/root/kill-points' },
  kmod: { provides: ['modprobe'], neededBy: 'tests of kernel modules' },
  'busybox-static': { provides: ['busybox'], neededBy: 'every test with a container' },
  swtpm: { provides: ['swtpm'], neededBy: 'tests/root/measurement, tests/vm/measured, vm-tpm' },
  'tpm2-tools': {
    provides: ['tpm2_pcrread', 'tpm2_pcrextend', 'tpm2_getcap', 'tpm2_eventlog'],
    neededBy: 'tests/root/measurement, tests/vm/measured, vm-tpm',
  },
  'golang-go': { provides: ['go'], neededBy: 'tests/interop, tests/vm/rejected-peers' },
  'golang-github-containerd-ttrpc-dev': {
    provides: ['server.go', 'stream.go'].map(
      (name) => `/usr/share/gocode/src/github.com/containerd/ttrpc/${name}`,
    ),
    neededBy: "Go's client and server against ours: tests/interop",
    on: {
      12: {
        unavailable: 'Debian 12 has ttRPC 1.1, without streams and with the messages of gogo/protobuf alone',
      },
    },
  },
  'golang-google-protobuf-dev': {
    provides: ['/usr/share/gocode/src/google.golang.org/protobuf/proto/doc.go'],
    neededBy: 'tests/interop',
  },
  'golang-golang-x-mod-dev': {
    provides: ['note/note.go', 'tlog/tlog.go'].map(
      (name) => `/usr/share/gocode/src/golang.org/x/mod/sumdb/${name}`,
    ),
    neededBy: "Go's transparency log against ours: tests/interop/tlog",
  },
  'util-linux': {
    provides: ['unshare', 'nsenter', 'setpriv', 'losetup', 'partx', 'mkswap', 'mount'],
    neededBy: 'all of tests/root and tests/vm',
  },
  // A guest has the kernel of the release that builds its image. Images are built on Debian only.
  'linux-6.11': {
    provides: [],
    neededBy: 'memory of containers reclaimed to a swap area: tests/vm/memory',
    on: { 12: { provides: ['Linux 6.11'], unavailable: 'the guests of Debian 12 have Linux 6.1' } },
  },
  apt: { provides: ['apt-get', 'dpkg'], neededBy: 'all of tests/vm' },
  mmdebstrap: { provides: ['mmdebstrap'] },
  git: { provides: ['git'], neededBy: 'guest-image/bundle: the time of a commit' },
  'nats-server': {
    provides: ['nats-server'],
    neededBy: 'tests/functional/realm-replicas, audit-collect-jetstream',
  },
  rsyslog: { provides: ['rsyslogd'], neededBy: 'tests/functional/audit-collect-syslog' },
  'rsyslog-gnutls': {
    provides: [`/usr/lib/${architecture.triplet}/rsyslog/lmnsd_gtls.so`],
    neededBy: 'tests/functional/audit-collect-syslog',
  },
  'docker-registry': {
    provides: ['docker-registry'],
    neededBy: 'tests/functional/image-registry, image-cosign, tests/vm/guest-pull',
  },
  cosign: {
    provides: ['cosign'],
    neededBy: 'tests/functional/image-cosign, tests/vm/guest-pull',
    on: { 12: { unavailable: 'Debian 12 does not have cosign' } },
  },
  skopeo: {
    provides: ['skopeo'],
    neededBy: 'tests/functional/image-registry, image-cosign, tests/{root,vm} with images that are pulled',
  },
  containerd: {
    provides: ['containerd', 'ctr'],
    neededBy: 'tests/functional/containerd-store, the drop-in of tests/functional/attested-pod',
  },
  umoci: { provides: ['umoci'], neededBy: 'the part `pull` of npm run bench' },
  'skopeo-sigstore': {
    package: 'skopeo',
    provides: [],
    neededBy:
      'images that skopeo signs: parts of tests/functional/image-registry, tests/root/guest-pull-built-in',
    on: {
      12: {
        provides: ['skopeo 1.10'],
        unavailable: 'Debian 12 has skopeo 1.9, which makes no keys for signatures of sigstore',
      },
    },
  },
  'erofs-utils-tar': {
    package: 'erofs-utils',
    provides: [],
    neededBy: 'layers that are made from tar archives: tests/vm/verified-layers',
    on: {
      12: {
        provides: ['erofs-utils 1.8'],
        unavailable: 'Debian 12 has erofs-utils 1.5, which reads no tar archive',
      },
    },
  },
};

/**
 * Every row of the table.
 *
 * @type {readonly string[]}
 */
export const packageNames = Object.keys(table);

/** The programs that build an image. The packages that the image contains are unpacked, not installed. */
const image = ['binutils', 'xz-utils', 'zstd', 'erofs-utils', 'cryptsetup-bin'];

/** The programs that build an image and boot it. */
const vm = [...image, architecture.qemu.package, 'virtiofsd'];

/**
 * The rows that each setup installs.
 *
 * @type {Readonly<Record<SetName, readonly string[]>>}
 */
const sets = {
  demo: ['runc', 'busybox-static', 'util-linux'],
  image,
  vm,
  'fresh-root': ['mmdebstrap', 'git', 'util-linux'],
  test: packageNames.filter((name) => name !== 'mmdebstrap' && name !== 'umoci'),
  bench: packageNames.filter((name) => name !== 'mmdebstrap'),
};

/**
 * Reports whether a command is an executable file in PATH, or in /usr/sbin or /sbin, which a user's PATH may lack.
 *
 * @param {string} command
 */
export function inPath(command) {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return directories.some((directory) => {
    try {
      accessSync(join(directory, command), constants.X_OK);
      return statSync(join(directory, command)).isFile();
    } catch (error) {
      if (
        error instanceof Error &&
        'code' in error &&
        ['ENOENT', 'EACCES', 'ENOTDIR'].includes(String(error.code))
      )
        return false;
      throw error;
    }
  });
}

/**
 * Returns the number of this machine's Debian release from os-release(5); undefined if it is not Debian.
 *
 * @returns {string | undefined}
 */
export function debianRelease(path = '/etc/os-release') {
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, 'utf8');
  return /^ID=debian$/m.test(text) ? /^VERSION_ID="?(\d+)"?$/m.exec(text)?.[1] : undefined;
}

/**
 * Returns a row of the table for a release of Debian. `exists` reports whether a command or a file exists.
 *
 * @param {string} name
 * @param {string} [release]
 * @param {(what: string) => boolean} [exists]
 * @returns {Prerequisite}
 */
export function prerequisite(name, release = debianRelease(), exists = existsHere) {
  const row = table[name];
  if (row === undefined) throw new Error(`${name}: not in the table of scripts/prerequisites.mjs`);
  const { on = {}, ...common } = row;
  const merged = { package: name, ...common, ...(release === undefined ? {} : on[release]) };
  return { name, ...merged, missing: merged.provides.filter((item) => !exists(item)) };
}

/** @param {string} what */
function existsHere(what) {
  return what.startsWith('/') ? existsSync(what) : inPath(what);
}

/**
 * Returns the rows of a set of which this machine lacks a command or a file.
 *
 * @param {SetName} set
 * @returns {readonly Prerequisite[]}
 */
export function missingOf(set) {
  return sets[set].map((name) => prerequisite(name)).filter(({ missing }) => missing.length > 0);
}

/**
 * Returns the path of a row's first file for this release, whether or not it exists. For programs outside PATH.
 *
 * @param {string} name
 * @returns {string}
 */
export function fileOf(name) {
  const [file] = prerequisite(name).provides;
  if (file === undefined) throw new Error(`${name}: no file in the table of scripts/prerequisites.mjs`);
  return file;
}
