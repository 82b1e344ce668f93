import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { architecture } from '@kata-agent/setup/architecture';
import { resolvePackages, unpackPackages } from '@kata-agent/tool-guest-image/packages/packages';
import { systemdPart } from '@kata-agent/tool-guest-image/packages/parts';
import type { Entry } from '@kata-agent/tool-guest-image/tree/archive';
import { developerHome } from '@kata-agent/tool-vm/image';
import { repository } from '../harness/repository.js';

/** systemd with its libraries, and dbus-daemon, through which crun asks it for cgroups. */
const packages = [
  ...systemdPart.packages,
  'dbus',
  'dbus-daemon',
  'dbus-system-bus-common',
  'libdbus-1-3',
  'libexpat1',
];

/** The targets of a boot and of a power-off; units of Debian that a guest does not need would take time. */
const targets = 'basic sysinit sockets slices paths timers shutdown umount final poweroff';

const unitDirectory = '/usr/lib/systemd/system';

function isWanted(path: string): boolean {
  const libraries = `/usr/lib/${architecture.triplet}/`;
  if (path.startsWith(libraries)) return /\.so(?:\.|$)/.test(path);
  if (path.startsWith('/usr/share/dbus-1/')) return true;
  return [
    '/usr/lib/systemd/systemd',
    '/usr/lib/systemd/systemd-executor',
    '/usr/lib/systemd/systemd-shutdown',
    '/usr/bin/systemctl',
    '/usr/bin/dbus-daemon',
    ...targets.split(' ').map((name) => `${unitDirectory}/${name}.target`),
    ...['dbus.socket', 'dbus.service', 'systemd-poweroff.service'].map((name) => `${unitDirectory}/${name}`),
  ].includes(path);
}

/** Returns the files and links below a directory of an unpacked package. */
function entriesIn(directory: string, below = ''): readonly Entry[] {
  return readdirSync(join(directory, below)).flatMap((name): readonly Entry[] => {
    const path = `${below}/${name}`;
    const found = join(directory, path);
    const stat = lstatSync(found);
    if (stat.isDirectory()) return entriesIn(directory, path);
    if (!isWanted(path)) return [];
    return stat.isSymbolicLink()
      ? [{ path, link: readlinkSync(found) }]
      : [{ path, data: readFileSync(found), mode: stat.mode & 0o777 }];
  });
}

const file = (path: string, data: string | Buffer, mode = 0o644): Entry => ({
  path,
  data: Buffer.from(data),
  mode,
});
const unit = (name: string, data: string | Buffer): Entry => file(`${unitDirectory}/${name}`, data);
const ofRepository = (name: string): Buffer => readFileSync(join(repository, 'image/systemd', name));

/** As in docs/existing-image.md: the root of an initramfs is no mount that a runtime can leave. */
const init = `#!/bin/busybox sh
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs devtmpfs /dev
$bb modprobe -a $($bb cat /etc/modules-load.d/kata-agent.conf) virtio_net
$bb umount /dev /sys /proc
exec $bb sh /initrd-init "$@"
`;

const relay = `[Service]
ExecStartPre=/usr/bin/busybox ip address add 10.0.2.15/24 dev eth0
ExecStartPre=/usr/bin/busybox ip link set eth0 up
ExecStart=/usr/bin/node ${developerHome}/relay.mjs
`;

/** systemd as the init of an image, with the agent's unit and the relay. The agent is started again when it ends. */
export function systemdOverlay(): readonly Entry[] {
  const cache = join(repository, 'build/image-cache/packages');
  const unpacked = unpackPackages(resolvePackages(packages), cache, () => undefined);
  return [
    ...unpacked.flatMap(({ directory }) => entriesIn(directory)),
    file('/init', init, 0o755),
    file('/initrd-init', ofRepository('initrd-init.sh'), 0o755),
    // The programs of initrd-init.sh.
    ...['mkdir', 'mount', 'chroot'].map((name) => ({ path: `/usr/bin/${name}`, link: 'busybox' })),
    { path: '/usr/sbin/init', link: '../lib/systemd/systemd' },
    file('/etc/machine-id', `${'0123456789abcdef'.repeat(2)}\n`),
    file('/etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nmessagebus:x:100:100::/:/bin/sh\n'),
    file('/etc/group', 'root:x:0:\ntty:x:5:\nmessagebus:x:100:\n'),
    unit('kata-agent.service', ofRepository('kata-agent.service')),
    unit(
      'kata-agent.service.d/again.conf',
      '[Unit]\nFailureAction=none\n[Service]\nRestart=always\nRestartSec=0\n',
    ),
    unit('kata-containers.target', ofRepository('kata-containers.target')),
    unit('kata-containers.target.d/test.conf', '[Unit]\nWants=relay.service dbus.socket\n'),
    unit('relay.service', relay),
  ];
}
