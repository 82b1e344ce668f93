import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { GuestError } from '../guest-error.js';
import { names, type PciPath, pciDirectory } from './pci-path.js';

/** Where the kernel shows devices: `/sys` and `/dev`, or copies of them. */
export interface DeviceRoots {
  readonly sys: string;
  readonly dev: string;
}

/** Looks for something once. Undefined: it has not appeared. */
export type Find = (roots: DeviceRoots) => string | undefined;

/** What a change needs and the agent does not make, and how to tell that it is there: a device, a mount of a container. */
export interface Wanted {
  /** For people: `a disk at PCI path 02/01`. */
  readonly what: string;
  readonly find: Find;
  /** How long it may take, in seconds. Absent: the setting `hotplug_timeout`. */
  readonly seconds?: number;
  /** Makes the kernel look for it, where it does not by itself. */
  readonly prompt?: (roots: DeviceRoots) => void;
  /** What to say when it is not there, where there is better to say than that. */
  readonly absent?: () => GuestError;
}

/** The node of the disk at a PCI path: virtio-blk, or an NVMe or other controller's first disk. */
export function blockAtPci(path: PciPath): Find {
  return (roots) => {
    const directory = pciDirectory(path, roots.sys);
    return directory === undefined ? undefined : node(diskBelow(directory), roots);
  };
}

/** The name of the link at a PCI path. */
export function linkAtPci(path: PciPath): Find {
  return (roots) => {
    const directory = pciDirectory(path, roots.sys);
    if (directory === undefined) return undefined;
    const drivers = names(directory).filter((name) => /^virtio\d+$/.test(name));
    return [directory, ...drivers.map((name) => join(directory, name))]
      .flatMap((place) => names(join(place, 'net')))
      .at(0);
  };
}

/** The node of the disk at `target:lun` of the guest's SCSI host; there is one in a guest, with one channel. */
export function blockAtScsi(target: number, lun: number): Find {
  return (roots) => {
    const devices = join(roots.sys, 'class/scsi_device');
    const address = new RegExp(`^\\d+:0:${target}:${lun}$`);
    const device = names(devices).find((name) => address.test(name));
    return device === undefined ? undefined : node(names(join(devices, device, 'device/block'))[0], roots);
  };
}

/** A block device by the name of its node, once the kernel has it: virtio-mmio disks and persistent memory. */
export function blockNamed(name: string): Find {
  return (roots) => (existsSync(join(roots.sys, 'class/block', name)) ? node(name, roots) : undefined);
}

/** The name in `/dev/vda`. Only a name: what the host writes must not lead out of /dev. */
export function blockNameOf(path: string): string {
  const match = /^\/dev\/([A-Za-z0-9][A-Za-z0-9_.-]{0,62})$/.exec(path);
  if (match?.[1] !== undefined) return match[1];
  throw new GuestError(
    'invalid',
    `device ${JSON.stringify(path.slice(0, 80))} must be a name below /dev, as /dev/vda`,
  );
}

function diskBelow(directory: string): string | undefined {
  const inner = names(directory).filter((name) => /^(virtio\d+|nvme|ata\d+)$/.test(name));
  for (const place of [directory, ...inner.map((name) => join(directory, name))]) {
    const disk = names(join(place, 'block'))[0];
    if (disk !== undefined) return disk;
    for (const controller of names(place).filter((name) => /^nvme\d+$/.test(name))) {
      const namespace = names(join(place, controller)).find((name) => /^nvme\d+n\d+$/.test(name));
      if (namespace !== undefined) return namespace;
    }
  }
  return undefined;
}

/** Its node in /dev, which devtmpfs makes a moment after sysfs has the device. */
function node(name: string | undefined, { dev }: DeviceRoots): string | undefined {
  if (name === undefined) return undefined;
  const path = join(dev, name);
  return existsSync(path) ? path : undefined;
}
