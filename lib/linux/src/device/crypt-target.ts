import type { MappedTable } from './mapped-device.js';

/** A dm-crypt device on the beginning of a disk. */
interface CryptTarget {
  /** The disk, as `MAJOR:MINOR`. */
  readonly disk: string;
  /** Bytes: a multiple of 4096. */
  readonly size: number;
  /** 64 bytes: two keys of AES-256 for XTS. */
  readonly key: Uint8Array;
}

const sectorSize = 512;

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
