import { closeSync, openSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { At, Descriptor, Open, type Syscalls } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { type DeviceNumber, deviceNumber } from './device-number.js';
import { names } from './pci-path.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Opens a disk, which keeps its number meanwhile. The receiver owns the descriptor. */
    readonly openDisk: (args: { readonly path: string }) => OpenedDisk;
    /** Closes a descriptor of the caller, which must not use it any more. */
    readonly closeDisk: (args: { readonly fd: number }) => void;
    /** Throws EBUSY if the kernel has claimed a disk. Lent: its node. */
    readonly openExclusively: (args: object) => void;
    /** Lent: the disk. */
    readonly flushDisk: (args: object) => void;
  }
}

/** A disk that was opened: the receiver owns the descriptor. */
export interface OpenedDisk extends DeviceNumber {
  readonly fd: number;
}

/** Opens a disk to read it. @throws GuestError `invalid`: it is not a disk */
export function openDisk(path: string, syscalls: Syscalls): OpenedDisk {
  const flags = Open.ReadOnly | Open.NoFollow | Open.NonBlock | Open.CloseOnExec;
  const descriptor = new Descriptor(syscalls, syscalls.openat(At.Cwd, path, flags));
  try {
    const stat = statSync(`/proc/self/fd/${descriptor.fd}`, { bigint: true });
    if (!stat.isBlockDevice()) throw new GuestError('invalid', `${path} is not a block device`);
    return { ...deviceNumber(stat.rdev), fd: descriptor.take() };
  } catch (error) {
    descriptor.close();
    throw error;
  }
}

/**
 * Throws EBUSY if the kernel has claimed a disk: if it is mounted, used as swap or part of another device, or has such a partition
 * (block/bdev.c). `node`: a descriptor of its node, which may be of O_PATH.
 */
export function openExclusively(node: Descriptor): void {
  closeSync(openSync(`/proc/self/fd/${node.fd}`, Open.ReadOnly | Open.Exclusive | Open.NonBlock));
}

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Makes the kernel scan the bus for a plugged disk. `sys`: `/sys`. */
    readonly scanScsi: (args: {
      readonly target: number;
      readonly lun: number;
      readonly sys: string;
    }) => void;
  }
}

/** Makes the kernel scan the bus for a plugged disk: it asks the host what is there. `sys`: `/sys`. */
export function scanScsi(target: number, lun: number, sys: string): void {
  const hosts = join(sys, 'class/scsi_host');
  for (const host of names(hosts)) writeFileSync(join(hosts, host, 'scan'), `0 ${target} ${lun}`);
}
