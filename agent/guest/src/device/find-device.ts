import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import type { HostMedia } from '../media/host-media.js';
import { GuestError } from '../guest-error.js';
import { names, pciDirectory, type PciPath } from './pci-path.js';
import { readIfThere } from '@kata-agent/base';
import { quotedWord } from '../quoted.js';

/** The sysfs and /dev to search: `/sys` and `/dev`, or copies of them. */
export interface DeviceRoots {
  readonly sys: string;
  readonly dev: string;
}

/** Searches once. Undefined: not present yet. */
export type Find = (roots: DeviceRoots) => string | undefined;

/** A dependency of a change that the agent does not create, and how to detect it: a device, a mount of a container. */
export interface Wanted {
  /** For messages: `a disk at PCI path 02/01`. */
  readonly what: string;
  readonly find: Find;
  /** Time-out in seconds. Absent: the setting `hotplug_timeout`. */
  readonly seconds?: number;
  /** Triggers a bus scan, where the kernel does not scan by itself. */
  readonly prompt?: (roots: DeviceRoots, media: HostMedia) => Promise<void>;
  /** A better message for the case that it is missing. */
  readonly absent?: () => GuestError;
}

/** Finds the node of the disk at a PCI path: a virtio-blk disk, or the first disk of an NVMe or other controller. */
export function blockAtPci(path: PciPath): Find {
  return (roots) => {
    const directory = pciDirectory(path, roots.sys);
    return directory === undefined ? undefined : node(diskBelow(directory), roots);
  };
}

/** Finds the name of the network interface at a PCI path. */
export function linkAtPci(path: PciPath): Find {
  return (roots) => {
    const directory = pciDirectory(path, roots.sys);
    if (directory === undefined) return undefined;
    const drivers = names(directory).filter((name) => /^virtio\d+$/.test(name));
    return [directory, ...drivers.map((name) => join(directory, name))]
      .flatMap((path) => names(join(path, 'net')))
      .at(0);
  };
}

/** Finds the name of the network interface with a hardware address; none for an empty one. */
export function linkWithAddress(hwAddr: string): Find {
  return ({ sys }) => {
    const links = join(sys, 'class/net');
    if (hwAddr === '') return undefined;
    return names(links).find((name) => addressOf(join(links, name)) === hwAddr.toLowerCase());
  };
}

/** Undefined: the link has none, or has gone meanwhile. */
function addressOf(link: string): string | undefined {
  try {
    return readFileSync(join(link, 'address'), 'utf8').trim();
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENODEV', 'EINVAL', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** Finds the node of the disk at `target:lun` of the guest's only SCSI host, which has one channel. */
export function blockAtScsi(target: number, lun: number): Find {
  return (roots) => {
    const devices = join(roots.sys, 'class/scsi_device');
    const address = new RegExp(`^\\d+:0:${target}:${lun}$`);
    const device = names(devices).find((name) => address.test(name));
    return device === undefined ? undefined : node(names(join(devices, device, 'device/block'))[0], roots);
  };
}

/** Finds a block device by the name of its node, once the kernel has it: a virtio-mmio disk or persistent memory. */
export function blockNamed(name: string): Find {
  return (roots) => (existsSync(join(roots.sys, 'class/block', name)) ? node(name, roots) : undefined);
}

/** Finds a partition of a disk by its number, once the kernel has read the disk's partition table. */
export function partitionOf(disk: Wanted, number: number): Wanted {
  const find: Find = (roots) => {
    const whole = disk.find(roots);
    if (whole === undefined) return undefined;
    const name = basename(whole);
    const directory = join(roots.sys, 'class/block', name);
    // The directories of its partitions have longer names, such as vda1 or nvme0n1p1.
    const partitions = names(directory).filter((each) => each.startsWith(name));
    const isIt = (each: string): boolean =>
      readIfThere(join(directory, each, 'partition'))
        ?.toString()
        .trim() === String(number);
    return node(partitions.find(isIt), roots);
  };
  return { ...disk, what: `partition ${number} of ${disk.what}`, find };
}

/**
 * Returns the name in `/dev/vda`. A single path component: input from the host must not lead out of /dev. No host attaches a
 * device of the device mapper: it is the guest's, the plain text of a disk that it encrypts, or a layer that it verifies.
 */
export function blockNameOf(path: string): string {
  const name = /^\/dev\/([A-Za-z0-9][A-Za-z0-9_.-]{0,62})$/.exec(path)?.[1];
  if (name === undefined)
    throw new GuestError('invalid', `device ${quotedWord(path)} must be a name below /dev, such as /dev/vda`);
  if (name.startsWith('dm-'))
    throw new GuestError(
      'refused',
      `device ${quotedWord(path)} is one that the guest maps; help: name the disk that the host attached`,
    );
  return name;
}

function diskBelow(directory: string): string | undefined {
  const inner = names(directory).filter((name) => /^(virtio\d+|nvme|ata\d+)$/.test(name));
  for (const parent of [directory, ...inner.map((name) => join(directory, name))]) {
    const disk = names(join(parent, 'block'))[0];
    if (disk !== undefined) return disk;
    for (const controller of names(parent).filter((name) => /^nvme\d+$/.test(name))) {
      const namespace = names(join(parent, controller)).find((name) => /^nvme\d+n\d+$/.test(name));
      if (namespace !== undefined) return namespace;
    }
  }
  return undefined;
}

/** Returns the path of a node in /dev. devtmpfs creates it slightly after the device appears in sysfs. */
function node(name: string | undefined, { dev }: DeviceRoots): string | undefined {
  if (name === undefined) return undefined;
  const path = join(dev, name);
  return existsSync(path) ? path : undefined;
}
