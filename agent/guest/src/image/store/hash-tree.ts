import { createHash, type Hash } from 'node:crypto';

/** Bytes of a block of data, and of one of the tree. */
export const blockSize = 4096;
const digestSize = 32;
const digestsInBlock = blockSize / digestSize;

/** The hash tree of a dm-verity device, and its root hash in hex. */
export interface FinishedTree {
  readonly rootHash: string;
  /** The blocks of the tree, in the order of the device: the highest level first. */
  readonly blocks: Buffer;
}

/**
 * The hash tree of a dm-verity device with format 1, SHA-256 and blocks of 4096 bytes, made from blocks as they are written
 * (Linux, Documentation/admin-guide/device-mapper/verity.rst).
 */
export class HashTree {
  readonly #start: Hash;
  #digests: Buffer[] = [];

  constructor(salt: Uint8Array) {
    this.#start = createHash('sha256').update(salt);
  }

  /** Adds whole blocks of data. */
  add(data: Uint8Array): void {
    this.#digests.push(this.#digestsOf(data));
  }

  finish(): FinishedTree {
    let digests = Buffer.concat(this.#digests);
    this.#digests = [];
    const levels: Buffer[] = [];
    // A single digest is the root hash: one block of data has no tree.
    while (digests.length > digestSize) {
      const level = Buffer.alloc(Math.ceil(digests.length / blockSize) * blockSize);
      digests.copy(level);
      levels.unshift(level);
      digests = this.#digestsOf(level);
    }
    return { rootHash: digests.toString('hex'), blocks: Buffer.concat(levels) };
  }

  #digestsOf(blocks: Uint8Array): Buffer<ArrayBuffer> {
    const digests = Buffer.alloc((blocks.length / blockSize) * digestSize);
    for (let index = 0; index * blockSize < blocks.length; index += 1) {
      const block = blocks.subarray(index * blockSize, (index + 1) * blockSize);
      this.#start
        .copy()
        .update(block)
        .digest()
        .copy(digests, index * digestSize);
    }
    return digests;
  }
}

/** Returns the number of blocks of a tree. */
export function treeBlocks(dataBlocks: number): number {
  let blocks = 0;
  for (let left = dataBlocks; left > 1; ) {
    left = Math.ceil(left / digestsInBlock);
    blocks += left;
  }
  return blocks;
}
