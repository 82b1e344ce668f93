import { Buffer } from 'node:buffer';
import { closeSync, openSync, readSync } from 'node:fs';
import type { MappedTable } from './mapped-device.js';

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

const sectorSize = 512;

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
