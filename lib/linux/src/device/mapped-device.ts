import { Buffer } from 'node:buffer';
import { closeSync, openSync, readSync } from 'node:fs';
import { Descriptor } from '../fs/descriptor.js';
import { At, Open } from '../syscalls/constants.js';
import { bytes } from '../syscalls/koffi.js';
import { hasCode, SyscallError } from '../syscalls/syscall-error.js';
import type { Syscalls } from '../syscalls/syscalls.js';

const sectorSize = 512;

/** A block device of the device mapper that consists of one target. */
export interface MappedTable {
  /** Size in sectors of 512 bytes. */
  readonly sectors: number;
  /** `verity`, … */
  readonly target: string;
  /** The words after the target's name in a table of dmsetup(8). */
  readonly parameters: string;
  /** Absent: the device is read-only. */
  readonly writable?: boolean;
  /** The parameters have a key, which the kernel wipes from its copy of the request. */
  readonly secret?: boolean;
}

/** Commands of linux/dm-ioctl.h. */
const Command = { Create: 3, Remove: 4, Suspend: 6, LoadTable: 9 } as const;

const Flag = { ReadOnly: 1 << 0, SecureData: 1 << 15, DeferredRemove: 1 << 17 } as const;

/** Offsets in struct dm_ioctl. */
const Header = {
  dataSize: 12,
  dataStart: 16,
  targetCount: 20,
  flags: 28,
  event: 32,
  device: 40,
  name: 48,
} as const;
const headerSize = 312;

/** Offsets in struct dm_target_spec, which the parameters follow. */
const Target = { sectors: 8, next: 20, type: 24 } as const;
const targetSize = 40;

/** Bytes of a name or type with the NUL at its end. */
const nameSize = 128;
const typeSize = 16;

/**
 * Flags of a uevent's cookie by which udev's rules ignore the device (libdevmapper.h, DM_UDEV_DISABLE_*): where udev runs,
 * it would open the device to identify its content.
 */
const ignoredByUdev = 0x2f << 16;

/**
 * Creates a mapped device and returns the name of its node in /dev, `dm-0`, which devtmpfs creates. It needs no
 * udev. On failure nothing is left. Errors: ENOENT: the kernel has no device mapper; EBUSY: the name exists; EINVAL: the
 * target rejects its parameters, as the kernel's log explains.
 *
 * @param control path of `/dev/mapper/control`
 */
export function createMappedDevice(
  syscalls: Syscalls,
  control: string,
  name: string,
  table: MappedTable,
): string {
  return withControl(syscalls, control, (fd) => {
    const access = accessOf(table);
    const created = header(name, access);
    syscalls.deviceMapper(fd, Command.Create, created);
    try {
      syscalls.deviceMapper(fd, Command.LoadTable, tableRequest(name, table));
      // Without the flag DM_SUSPEND it is resumed, which makes the loaded table the active one.
      syscalls.deviceMapper(fd, Command.Suspend, header(name, access));
    } catch (error) {
      syscalls.deviceMapper(fd, Command.Remove, header(name, Flag.DeferredRemove));
      throw error;
    }
    return `dm-${minorOf(created.readBigUInt64LE(Header.device))}`;
  });
}

/** Removes a mapped device; one that is in use is removed by the kernel when its last user closes it. Does nothing if
 * there is no such device. */
export function removeMappedDevice(syscalls: Syscalls, control: string, name: string): void {
  try {
    withControl(syscalls, control, (fd) =>
      syscalls.deviceMapper(fd, Command.Remove, header(name, Flag.DeferredRemove)),
    );
  } catch (error) {
    if (!hasCode(error, 'ENXIO', 'ENOENT')) throw error;
  }
}

function withControl<Result>(syscalls: Syscalls, control: string, task: (fd: number) => Result): Result {
  const descriptor = new Descriptor(syscalls, syscalls.openat(At.Cwd, control, Open.ReadWrite));
  try {
    return task(descriptor.fd);
  } finally {
    descriptor.close();
  }
}

function header(name: string, flags: number, size: number = headerSize): Buffer {
  const request = bytes(size);
  request.writeUInt32LE(4, 0); // version of the interface: 4.0.0
  request.writeUInt32LE(size, Header.dataSize);
  request.writeUInt32LE(headerSize, Header.dataStart);
  request.writeUInt32LE(flags, Header.flags);
  request.writeUInt32LE(ignoredByUdev, Header.event);
  putText(request, Header.name, name, nameSize);
  return request;
}

function accessOf({ writable = false }: MappedTable): number {
  return writable ? 0 : Flag.ReadOnly;
}

function tableRequest(name: string, table: MappedTable): Buffer {
  const { sectors, target, parameters, secret = false } = table;
  const flags = accessOf(table) | (secret ? Flag.SecureData : 0);
  const text = Buffer.from(parameters);
  // Target and parameters are aligned to 8 bytes, and the text ends with a NUL.
  const specSize = Math.ceil((targetSize + text.length + 1) / 8) * 8;
  const request = header(name, flags, headerSize + specSize);
  request.writeUInt32LE(1, Header.targetCount);
  request.writeBigUInt64LE(BigInt(sectors), headerSize + Target.sectors);
  request.writeUInt32LE(specSize, headerSize + Target.next);
  putText(request, headerSize + Target.type, target, typeSize);
  putText(request, headerSize + targetSize, parameters, text.length + 1);
  return request;
}

function putText(request: Buffer, offset: number, text: string, size: number): void {
  const encoded = Buffer.from(text);
  if (encoded.length >= size || encoded.includes(0)) throw SyscallError.named('ioctl', 'EINVAL', text);
  encoded.copy(request, offset);
}

/** The halves of a device number are interleaved as in `st_rdev`. */
function minorOf(device: bigint): bigint {
  return (device & 0xffn) | ((device >> 12n) & 0xffff_ff00n);
}

/** A dm-crypt device on the beginning of a disk. */
interface CryptTarget {
  /** The disk, as `MAJOR:MINOR`. */
  readonly disk: string;
  /** Bytes: a multiple of 4096. */
  readonly size: number;
  /** 64 bytes: two keys of AES-256 for XTS. */
  readonly key: Uint8Array;
}

/** Returns the table of the device (Linux, Documentation/admin-guide/device-mapper/dm-crypt.rst), which can be written. */
export function cryptTarget({ disk, size, key }: CryptTarget): MappedTable {
  return {
    sectors: size / sectorSize,
    target: 'crypt',
    parameters: `aes-xts-plain64 ${Buffer.from(key).toString('hex')} 0 ${disk} 0 1 sector_size:4096`,
    writable: true,
    secret: true,
  };
}

/** A dm-verity device, whose blocks are verified against one root hash. */
interface VerityTarget {
  readonly format: 0 | 1;
  /** The device with the data, and the one with the hash tree, as `MAJOR:MINOR`. */
  readonly data: string;
  readonly hashes: string;
  /** Bytes. */
  readonly dataBlockSize: number;
  readonly hashBlockSize: number;
  readonly dataBlocks: number;
  /** Where the hash tree begins on its device, in hash blocks. */
  readonly firstHashBlock: number;
  readonly algorithm: string;
  /** Hex. */
  readonly rootHash: string;
  /** Hex; empty: none. */
  readonly salt: string;
}

/** Returns the table of the device (Linux, Documentation/admin-guide/device-mapper/verity.rst). */
export function verityTarget(verity: VerityTarget): MappedTable {
  const { format, data, hashes, dataBlockSize, hashBlockSize, dataBlocks } = verity;
  const { firstHashBlock, algorithm, rootHash, salt } = verity;
  return {
    sectors: (dataBlocks * dataBlockSize) / sectorSize,
    target: 'verity',
    parameters: [
      format,
      data,
      hashes,
      dataBlockSize,
      hashBlockSize,
      dataBlocks,
      firstHashBlock,
      algorithm,
      rootHash,
      salt === '' ? '-' : salt,
    ].join(' '),
  };
}

/**
 * Reads the first block of a dm-verity device: the kernel verifies blocks when they are read, so a device with a wrong root
 * hash can be created. Throws EIO then.
 */
export function readFirstBlock(device: string, dataBlockSize: number): void {
  const fd = openSync(device, 'r');
  try {
    readSync(fd, Buffer.alloc(dataBlockSize), 0, dataBlockSize, 0);
  } finally {
    closeSync(fd);
  }
}
