import { type MappedTable, verityTarget } from '@kata-agent/linux';
import type { DeviceNumber } from '../../device/device-number.js';

interface VerityMapping {
  /** Path of the device mapper's control node. */
  readonly control: string;
  readonly name: string;
  readonly disk: DeviceNumber;
  readonly verity: Verity;
}

declare module '../../media/host-media.js' {
  interface MediaTasks {
    /** Creates a dm-verity device on a disk. `node`: the name of its node. */
    readonly mapVerity: (args: VerityMapping) => {
      readonly node: string;
      readonly control: string;
      readonly name: string;
    };
    readonly unmap: (args: { readonly control: string; readonly name: string }) => void;
    readonly readFirstBlock: (args: { readonly device: string; readonly size: number }) => void;
  }
}

const superblockSize = 512;

/** A dm-verity disk, whose blocks are verified against one root hash: the data, then the hash tree. */
export interface Verity {
  /** Lower-case hex. */
  readonly rootHash: string;
  /** Bytes of data before the hash tree. */
  readonly hashOffset: number;
  readonly dataBlockSize: number;
  readonly hashBlockSize: number;
  readonly algorithm: string;
  /** Hex; empty: none. */
  readonly salt: string;
  readonly format: 0 | 1;
  /** A superblock precedes the hash tree. It is not read: the request has the parameters. */
  readonly superblock: boolean;
}

/** Returns the table of a device whose hash tree is behind the data on one disk. */
export function verityTable({ major, minor }: DeviceNumber, verity: Verity): MappedTable {
  const { hashOffset, dataBlockSize, hashBlockSize, superblock } = verity;
  const number = `${major}:${minor}`;
  return verityTarget({
    ...verity,
    data: number,
    hashes: number,
    dataBlocks: hashOffset / dataBlockSize,
    firstHashBlock: hashOffset / hashBlockSize + (superblock ? Math.ceil(superblockSize / hashBlockSize) : 0),
  });
}
