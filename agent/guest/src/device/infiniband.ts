import { lstatSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { contains } from '../paths/clean-path.js';
import type { InjectedDevice } from './injected-device.js';
import { deviceNumber } from './device-number.js';
import type { DeviceRoots } from './find-device.js';
import { names } from './pci-path.js';

/** The connection manager, which all InfiniBand devices share. */
const shared = 'rdma_cm';

const permissions = 0o7777;

/**
 * Returns the InfiniBand nodes that the guest's kernel has for PCI devices (`/dev/infiniband/uverbs0`), and the connection
 * manager's: a container whose network card the guest's kernel drives uses RDMA through them. Kata's agent gives each
 * container with such a device all nodes in /dev/infiniband.
 *
 * @param directories the devices' directories in sysfs
 */
export function infinibandDevices(
  directories: readonly string[],
  { sys, dev }: DeviceRoots,
): readonly InjectedDevice[] {
  const parent = join(dev, 'infiniband');
  const owned = directories.map((directory) => realpathSync(directory));
  const nodes = names(parent).flatMap((name) => {
    const stat = lstatSync(join(parent, name), { bigint: true });
    if (!stat.isCharacterDevice()) return [];
    const { major, minor } = deviceNumber(stat.rdev);
    const place = realIfThere(join(sys, 'dev/char', `${major}:${minor}`));
    const isOwn = place !== undefined && owned.some((directory) => contains(directory, place));
    const node = {
      path: `/dev/infiniband/${name}`,
      type: 'c',
      major,
      minor,
      fileMode: Number(stat.mode) & permissions,
      uid: Number(stat.uid),
      gid: Number(stat.gid),
    };
    return [{ isOwn, device: { node, access: 'rwm' } }];
  });
  if (!nodes.some(({ isOwn }) => isOwn)) return [];
  return nodes
    .filter(({ isOwn, device }) => isOwn || device.node.path.endsWith(`/${shared}`))
    .map(({ device }) => device);
}

function realIfThere(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
