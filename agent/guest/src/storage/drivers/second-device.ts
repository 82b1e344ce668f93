import { closeSync, openSync, readSync } from 'node:fs';
import { GuestError } from '../../guest-error.js';

declare module '../../media/host-media.js' {
  interface MediaTasks {
    readonly refuseSecondDevice: (args: { readonly device: string; readonly fstype: string }) => void;
  }
}

/** The ext super block (Linux, Documentation/filesystems/ext4/super.rst). */
const Ext = {
  at: 1024,
  size: 1024,
  magic: 0x38,
  compatible: 0x5c,
  journalInode: 0xe0,
  journalDevice: 0xe4,
} as const;
const extMagic = 0xef53;
const extHasJournal = 0x4;

/** The btrfs super block (linux/btrfs_tree.h, struct btrfs_super_block). */
const Btrfs = { at: 64 * 1024, size: 4096, magic: 0x40, devices: 0x88 } as const;
const btrfsMagic = '_BHRfS_M';

/** The EROFS super block (Linux, fs/erofs/erofs_fs.h, struct erofs_super_block), and the slots of its device table. */
const Erofs = { at: 1024, size: 128, magic: 0, incompatible: 0x50, devices: 0x56, slots: 0x58 } as const;
const erofsMagic = 0xe0f5e1e2;
const erofsHasDeviceTable = 0x8;
const erofsSlotSize = 128;
const erofsTagSize = 64;

/**
 * Refuses a file system that would use a second disk, which its super block names and nobody has checked: an ext journal
 * on another device, btrfs on several devices, EROFS whose device table has a path, which Linux before 6.4 opens. Such a
 * disk may be a container's, which could change the file system while it is mounted. Mount options that name a device are
 * denied (disk-options.ts); without them xfs and squashfs use only the disk itself. The host, which has the disk, can still
 * change it after this check: it could change what is mounted as well.
 *
 * @param device what is mounted: the disk, or its verity device
 * @throws GuestError `refused`
 */
export function refuseSecondDevice(device: string, fstype: string): void {
  const named = otherDevice(device, fstype);
  if (named === undefined) return;
  throw new GuestError(
    'refused',
    `${device} is not mounted: ${named}, which would be used too; help: use a file system that needs no second disk`,
  );
}

function otherDevice(device: string, fstype: string): string | undefined {
  if (fstype === 'btrfs') return otherBtrfsDevices(device);
  return fstype === 'erofs' ? otherErofsDevice(device) : otherExtDevice(device, fstype);
}

/** Slots with other tags are parts of the disk itself, or the kernel finds no such file. */
function otherErofsDevice(device: string): string | undefined {
  const block = readAt(device, Erofs.at, Erofs.size);
  if (block?.readUInt32LE(Erofs.magic) !== erofsMagic) return undefined;
  if ((block.readUInt32LE(Erofs.incompatible) & erofsHasDeviceTable) === 0) return undefined;
  const count = block.readUInt16LE(Erofs.devices);
  const table = block.readUInt16LE(Erofs.slots) * erofsSlotSize;
  // In one read: the disk says how many there are.
  const slots = readUpTo(device, table, count * erofsSlotSize);
  for (let at = 0; at < slots.length; at += erofsSlotSize)
    if (slots.subarray(at, at + erofsTagSize).includes('/')) return 'its EROFS names another disk';
  return undefined;
}

function otherExtDevice(device: string, fstype: string): string | undefined {
  if (fstype !== 'ext3' && fstype !== 'ext4') return undefined;
  const block = readAt(device, Ext.at, Ext.size);
  if (block?.readUInt16LE(Ext.magic) !== extMagic) return undefined;
  const number = block.readUInt32LE(Ext.journalDevice);
  const hasJournal = (block.readUInt32LE(Ext.compatible) & extHasJournal) !== 0;
  const isExternal = number !== 0 || (hasJournal && block.readUInt32LE(Ext.journalInode) === 0);
  return isExternal ? 'its journal is on another disk' : undefined;
}

function otherBtrfsDevices(device: string): string | undefined {
  const block = readAt(device, Btrfs.at, Btrfs.size);
  if (block?.toString('latin1', Btrfs.magic, Btrfs.magic + btrfsMagic.length) !== btrfsMagic)
    return undefined;
  const devices = block.readBigUInt64LE(Btrfs.devices);
  return devices === 1n ? undefined : `its btrfs is on ${devices} disks`;
}

/** Undefined: the disk is smaller. */
function readAt(device: string, position: number, size: number): Buffer | undefined {
  const block = readUpTo(device, position, size);
  return block.length === size ? block : undefined;
}

/** Returns less at the end of the device. */
function readUpTo(device: string, position: number, size: number): Buffer {
  const fd = openSync(device, 'r');
  try {
    const bytes = Buffer.alloc(size);
    return bytes.subarray(0, readSync(fd, bytes, 0, size, position));
  } finally {
    closeSync(fd);
  }
}
