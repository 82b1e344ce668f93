import { alwaysMasked } from '@kata-agent/gate';

/**
 * What a container gets that nobody said more about: what container engines commonly give
 * (source: the OCI runtime specification's config-linux.md and containerd's default spec).
 */

export interface MountRow {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

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

/** The network is the guest's own, as in a pod. */
export const defaultNamespaces: readonly string[] = ['pid', 'ipc', 'uts', 'mount'];

/** As newer engines do, with what tells a neighbour's secrets by the current that they take. */
export const maskedPaths: readonly string[] = [...alwaysMasked, '/sys/devices/virtual/powercap'];
