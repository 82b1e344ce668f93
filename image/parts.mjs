// What is in a guest image, and why. Each file is named: a package brings only what stands here, and the libraries that
// these programs ask for are found from the programs themselves.
import { debianRelease } from '../scripts/prerequisites.mjs';
import { architecture } from './architecture.mjs';

/** What only Debian 12's builds of these programs, and its kernel, need. */
const onDebian12 = (...names) => (debianRelease() === '12' ? names : []);

/** Programs and files of Debian's packages. `optional`: only when asked for with `--with NAME`. */
export const parts = [
  {
    name: 'runc',
    reason: 'makes the containers',
    packages: ['runc', 'libseccomp2'],
    files: ['/usr/sbin/runc'],
  },
  {
    name: 'busybox',
    reason:
      'modprobe, for the agent and for the kernel itself; tee, for the memory agent; the shell of the debug console',
    packages: ['busybox-static'],
    files: ['/usr/bin/busybox'],
    links: { '/usr/sbin/modprobe': '../bin/busybox', '/usr/bin/tee': 'busybox', '/usr/bin/sh': 'busybox' },
  },
  {
    name: 'iproute2',
    reason:
      'interfaces, routes and neighbours that the runtime asks for, as JSON, which busybox does not speak',
    packages: [
      'iproute2',
      'libbpf1',
      'libelf1t64',
      'libmnl0',
      'libcap2',
      'libselinux1',
      'libpcre2-8-0',
      'libzstd1',
      ...onDebian12('libbsd0', 'libmd0'),
    ],
    files: ['/usr/bin/ip'],
    links: { '/usr/sbin/ip': '../bin/ip' },
  },
  {
    name: 'iptables',
    reason: 'GetIPTables and SetIPTables; without their service meshes do not work',
    packages: ['iptables', 'libxtables12', 'libnftnl11'],
    files: [
      '/usr/sbin/xtables-nft-multi',
      ...['conntrack', 'comment', 'multiport', 'owner', 'mark', 'tcp', 'udp', 'addrtype', 'standard'].map(
        (name) => `/usr/lib/${architecture.triplet}/xtables/libxt_${name}.so`,
      ),
      ...['REDIRECT', 'MASQUERADE', 'DNAT', 'SNAT'].map(
        (name) => `/usr/lib/${architecture.triplet}/xtables/lib{xt,ipt}_${name}.so`,
      ),
    ],
    links: Object.fromEntries(
      ['iptables', 'ip6tables'].flatMap((family) =>
        ['', '-save', '-restore'].map((tail) => [`/usr/sbin/${family}${tail}`, 'xtables-nft-multi']),
      ),
    ),
  },
  {
    name: 'e2fsprogs',
    reason: 'makes file systems for ephemeral volumes, and grows volumes',
    packages: ['e2fsprogs', 'libext2fs2t64', 'libcom-err2', 'libblkid1', 'libuuid1'],
    files: ['/usr/sbin/mke2fs', '/usr/sbin/resize2fs', '/etc/mke2fs.conf'],
    links: { '/usr/sbin/mkfs.ext4': 'mke2fs' },
  },
  {
    name: 'libraries',
    reason: 'what Node.js and these programs are linked with',
    packages: ['libc6', 'libstdc++6', 'libgcc-s1', 'zlib1g'],
    files: [],
  },
  {
    name: 'verity',
    reason: 'volumes with dm-verity; its libcrypto alone is 6 MB',
    optional: true,
    packages: [
      'cryptsetup-bin',
      'libcryptsetup12',
      'libpopt0',
      'libdevmapper1.02.1',
      'libssl3t64',
      'libjson-c5',
      'libudev1',
      ...onDebian12('libargon2-1'),
    ],
    files: ['/usr/sbin/veritysetup'],
  },
];

/** What comes from no package's part. */
export const ownParts = [
  { name: 'node', reason: 'runs the agent; of ICU’s data it has English alone' },
  {
    name: 'agent',
    reason: 'the bundle, koffi’s library for Debian’s C library, and the wrapper that starts them',
  },
  { name: 'modules', reason: 'drivers and filters, by the lists in image/parts.mjs, and what they need' },
  { name: 'configuration', reason: 'what --config names' },
  {
    name: 'folders',
    reason: 'what mounts and programs expect to be there: folders, links, two devices, root’s name',
  },
];

/** What opens the root file system, in the small initramfs before it. */
export const rootfsPart = {
  name: 'dmsetup',
  packages: ['dmsetup', 'libdevmapper1.02.1', 'libudev1', 'libselinux1', 'libpcre2-8-0', 'libcap2', 'libc6'],
  files: ['/usr/sbin/dmsetup'],
};

/** The kernel that the guest boots: a package that depends on the newest one of its kind. */
export const { kernelPackage } = architecture;

/** Loaded at boot, in this order. */
export const bootModules = [
  ...onDebian12('virtio_pci'), // built in later: without it there is no virtio device at all
  'vmw_vsock_virtio_transport', // the agent's own door
  'virtio_blk', // volumes, images of containers
  'virtio_scsi', // the same, as Kata's Go runtime attaches them under QEMU unless told otherwise
  'sd_mod',
  'virtio_mem', // memory that grows, with enable_virtio_mem of Kata's runtimes
  'virtio_balloon', // memory that is given back
  'virtio_net',
];

/** In the image, loaded when something asks. */
export const otherModules = [
  'nfit', // volumes in persistent memory: the runtime names them in CreateSandbox
  'nd_pmem',
  'virtio_console',
  'qemu_fw_cfg', // documents, before the agent listens
];

/**
 * The kernel asks for them: for a file system when it is mounted, for a match of a rule. Those that nobody has asked for until
 * the sandbox is made are loaded then, and after that the kernel takes no module (docs/reference/hardening.md).
 */
export const lateModules = [
  ...onDebian12('virtiofs'), // built in later
  'overlay',
  'erofs',
  'dm_mod',
  'dm_verity',
  'veth',
  'nf_tables',
  'nft_compat',
  'nft_chain_nat',
  'xt_MASQUERADE',
  'xt_REDIRECT',
  'xt_nat',
  'xt_conntrack',
  'xt_comment',
  'xt_multiport',
  'xt_owner',
  'xt_mark',
  'xt_tcpudp',
  'xt_addrtype',
];

/** `--with loopback`: a guest that reaches its own vsock ports. Without it no container can even knock (S24). */
export const loopbackModule = 'vsock_loopback';
