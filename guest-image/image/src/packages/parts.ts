// The contents of a guest image, with reasons. Only the listed files of a package are in the image; the
// libraries that they are linked with are found from the files themselves.
import { architecture } from '@kata-agent/setup/architecture';
import { debianRelease } from '@kata-agent/setup/prerequisites';

/** Files and links of a part. */
export interface PackageFiles {
  readonly name: string;
  /** Paths in packages; `{a,b}` stands for both. A path that no package has is skipped. */
  readonly files: readonly string[];
  /** The targets of symbolic links, by path. */
  readonly links?: Readonly<Record<string, string>>;
}

/** A part of an image. */
export interface Part extends PackageFiles {
  /** The purpose of the part, printed by `npm run image`. */
  readonly reason: string;
  /** Whether the part is only added by `--with NAME`. */
  readonly optional?: boolean;
  /** The part that this one replaces. */
  readonly replaces?: string;
  /** The Debian packages to unpack, by Debian 13's names. */
  readonly packages: readonly string[];
}

/** Returns the names on Debian 12 only, whose builds of these programs and of the kernel need more. */
const onDebian12 = (...names: readonly string[]): readonly string[] =>
  debianRelease() === '12' ? names : [];

/** The part with the program that pulls images, which comes from the bundle. */
export const imagePull = 'image-pull';

/** The parts from Debian packages. */
export const parts: readonly Part[] = [
  {
    name: 'runc',
    reason: 'creates containers',
    packages: ['runc', 'libseccomp2'],
    files: ['/usr/sbin/runc'],
  },
  {
    name: 'crun',
    reason: 'creates containers, instead of runc',
    optional: true,
    replaces: 'runc',
    packages: ['crun', 'libseccomp2', 'libsystemd0', 'libyajl2', 'libcap2'],
    files: ['/usr/bin/crun'],
  },
  {
    name: imagePull,
    reason: 'pulls images for [image] puller = "built-in"; the library is for layers with zstd',
    optional: true,
    packages: ['libzstd1'],
    files: [`/usr/lib/${architecture.triplet}/libzstd.so.1`],
  },
  {
    name: 'image-disk',
    reason: 'mkfs.erofs, for [image] store = "encrypted-disk"',
    optional: true,
    packages: [
      'erofs-utils',
      'libdeflate0',
      'liblz4-1',
      'liblzma5',
      'libpcre2-8-0',
      'libselinux1',
      'libuuid1',
      'libxxhash0',
      'libzstd1',
      'zlib1g',
    ],
    files: ['/usr/bin/mkfs.erofs'],
  },
  {
    name: 'busybox',
    reason:
      'modprobe, for the agent and the kernel; tee, for the memory agent; the shell of the debug console',
    packages: ['busybox-static'],
    files: ['/usr/bin/busybox'],
    links: { '/usr/sbin/modprobe': '../bin/busybox', '/usr/bin/tee': 'busybox', '/usr/bin/sh': 'busybox' },
  },
  {
    name: 'iptables',
    reason: 'GetIPTables and SetIPTables, for service meshes',
    packages: ['iptables', 'libxtables12', 'libnftnl11', 'libmnl0'],
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
    reason: 'creates file systems on ephemeral volumes',
    packages: ['e2fsprogs', 'libext2fs2t64', 'libcom-err2', 'libblkid1', 'libuuid1'],
    files: ['/usr/sbin/mke2fs', '/etc/mke2fs.conf'],
    links: { '/usr/sbin/mkfs.ext4': 'mke2fs' },
  },
  {
    name: 'libraries',
    reason: 'shared libraries of Node.js and these programs',
    packages: ['libc6', 'libstdc++6', 'libgcc-s1', 'zlib1g'],
    files: [],
  },
];

/** The parts that no list above defines. */
export const otherParts: readonly { readonly name: string; readonly reason: string }[] = [
  { name: 'node', reason: 'runs the agent; ICU data for English only' },
  {
    name: 'agent',
    reason: 'the bundle, the library of koffi for glibc, and the wrapper that starts the agent',
  },
  {
    name: 'modules',
    reason:
      'drivers and packet filter modules of guest-image/image/src/packages/parts.ts, with their dependencies',
  },
  { name: 'configuration', reason: 'the document of --config' },
  { name: 'inner-agent', reason: 'the program of --inner-agent, its file and the units (image/systemd)' },
  {
    name: 'directories',
    reason: 'mount points, links, two devices, and the files of users and groups',
  },
];

const unitDirectory = '/usr/lib/systemd/system';

/** systemd, which starts the inner agent and the agent in front of it, and starts the inner one again where a unit says so. */
export const systemdPart: Part = {
  name: 'systemd',
  reason: 'starts both agents; without journal, udev, network and D-Bus',
  packages: [
    'systemd',
    'libsystemd-shared',
    'libacl1',
    'libapparmor1',
    'libaudit1',
    'libblkid1',
    'libcap2',
    'libcap-ng0',
    'libcrypt1',
    'libmount1',
    'libpam0g',
    'libpcre2-8-0',
    'libseccomp2',
    'libselinux1',
    'libssl3t64',
    'libsystemd0',
    'libzstd1',
    'zlib1g',
    ...onDebian12('libgcrypt20', 'libgpg-error0', 'liblz4-1', 'liblzma5', 'libip4tc2', 'libkmod2'),
  ],
  files: [
    ...['systemd', 'systemd-executor', 'systemd-shutdown'].map((name) => `/usr/lib/systemd/${name}`),
    '/usr/bin/systemctl',
    ...'basic sysinit sockets slices paths timers shutdown umount final poweroff local-fs local-fs-pre swap'
      .split(' ')
      .map((name) => `${unitDirectory}/${name}.target`),
    ...['systemd-poweroff.service', 'tmp.mount'].map((name) => `${unitDirectory}/${name}`),
  ],
  // Kata's runtimes name the target on the kernel command line; without this an image would boot another one.
  links: { [`${unitDirectory}/default.target`]: 'kata-containers.target' },
};

/** The program that opens the disk of the root file system, in its initramfs. */
export const rootfsPart: PackageFiles & { readonly packages: readonly string[] } = {
  name: 'dmsetup',
  packages: ['dmsetup', 'libdevmapper1.02.1', 'libudev1', 'libselinux1', 'libpcre2-8-0', 'libcap2', 'libc6'],
  files: ['/usr/sbin/dmsetup'],
};

/** The metapackage of the guest's kernel, which depends on the current version. */
export const kernelPackage: string = architecture.kernelPackage;

/** Modules loaded at boot, in this order. */
export const bootModules: readonly string[] = [
  ...onDebian12('virtio_pci'), // built in later; all virtio devices need it
  'vmw_vsock_virtio_transport', // the agent's vsock
  'virtio_blk', // volumes, container images
  'virtio_scsi', // the same; the default of Kata's Go runtime under QEMU
  'sd_mod',
  'virtio_mem', // memory hotplug with enable_virtio_mem of Kata's runtimes
  'virtio_balloon', // returns memory to the host
  'virtio_net',
];

/** Modules in the image that are loaded on demand. */
export const otherModules: readonly string[] = [
  'nfit', // persistent memory volumes; the runtime names the modules in CreateSandbox
  'nd_pmem',
  'virtio_console',
  'qemu_fw_cfg', // further documents, before the agent listens
];

/**
 * Modules that the kernel requests when a file system is mounted or a packet filter rule is added.
 * CreateSandbox loads those that are not loaded yet, because afterwards the kernel loads no more modules
 * (docs/reference/hardening.md).
 */
export const lateModules: readonly string[] = [
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

/** Modules that are only added by `--with NAME`. */
export interface OptionalModules {
  /** The purpose. */
  readonly reason: string;
  /** Loaded at boot. */
  readonly boot: readonly string[];
  /** Loaded as `lateModules`. */
  readonly late: readonly string[];
}

/** By the name of the option. */
export const optionalModules: ReadonlyMap<string, OptionalModules> = new Map([
  [
    'loopback',
    {
      // Without it no container can connect to the agent's vsock ports (S24).
      reason: 'vsock inside the guest',
      boot: ['vsock_loopback'],
      late: [],
    },
  ],
  [
    'image-disk',
    {
      reason: 'encrypted disks for images',
      boot: [],
      // The last one is faster, and cannot be loaded if the processor has no AES.
      late: ['dm_crypt', 'ecb', 'xts', process.arch === 'arm64' ? 'aes_ce_blk' : 'aesni_intel'],
    },
  ],
  ['tun', { reason: '/dev/net/tun, for VPNs in containers', boot: ['tun'], late: [] }],
  [
    'cifs',
    {
      reason: 'SMB shares that containers mount',
      boot: [],
      // The client of SMB 3 asks the kernel for its ciphers when it connects, when no module can be loaded any more.
      late: ['cifs', 'nls_utf8', 'cmac', 'ccm', 'gcm', 'ghash_generic'],
    },
  ],
]);
