import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { type BootRecord, lineHashes, LineReader, readRecord, sequenceOf } from '@kata-agent/audit';
import {
  emptyRoot,
  Frontier,
  hashOfRange,
  type LogVerifier,
  parseAgentLogVerifier,
  TextFormError,
  type TreeHash,
  type TreeHead,
} from '@kata-agent/tlog';
import { formatPin } from '@kata-agent/x509';

/** Hashes of subtrees from this level on stay in memory, about 160 bytes for 256 records; others are computed from the file. */
const keptLevel = 8;
const keptLeaves = 2 ** keptLevel;
/** Read and hashed in one turn of the event loop, in about a millisecond. */
const chunkBytes = 64 * 1024;

/** A file of records, and how many of its bytes are complete lines. */
export interface StoredRecords {
  readonly path: string;
  readonly size: number;
}

/** What the boot record of a guest says of its log. */
export interface LogIdentity {
  /** The key that signs its checkpoints. */
  readonly key: LogVerifier;
  /** The sequence number of the boot record, which is leaf 0. */
  readonly first: number;
}

/**
 * The tree of the records that a guest has sent, from the boot record on that made its key: it names the key of the guest's TLS and
 * that of its log. The tree ends before a gap, and before a further boot record. One call at a time.
 */
export class StoredTree {
  readonly #pin: string;
  readonly #path: string;
  /** Bytes that were read. */
  #offset = 0;
  #identity: LogIdentity | undefined;
  #isOver = false;
  readonly #frontier = new Frontier();
  /** By level above `keptLevel`, and index. */
  readonly #hashes: TreeHash[][] = [];
  /** Where each group of `keptLeaves` begins in the file. */
  readonly #offsets: number[] = [];

  /** `id`: SHA-256 of the key of the guest's TLS. */
  constructor(id: string, path: string) {
    this.#pin = formatPin(id);
    this.#path = path;
  }

  get path(): string {
    return this.#path;
  }

  /** Undefined: the boot record that names both keys has not been read. */
  get identity(): LogIdentity | undefined {
    return this.#identity;
  }

  /** The number of leaves. */
  get size(): number {
    return this.#frontier.size;
  }

  /** Whether the tree does not grow any more: records are missing, or the guest has started again. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Reads the records up to so many bytes of the file, a part in each turn of the event loop. Throws the system's error. */
  async read(size: number): Promise<void> {
    if (this.#isOver || size <= this.#offset) return;
    await this.#withFile(async (file) => {
      const reader = new LineReader(file, this.#offset, chunkBytes);
      for (let lines = await reader.next(); lines !== undefined; lines = await reader.next())
        for (const line of lines) {
          // What follows is being written.
          if (this.#isOver || this.#offset + line.length >= size) return;
          this.#take(line);
          this.#offset += line.length + 1;
        }
    });
  }

  /** Returns the head of the first `size` leaves, which must have been read. Throws the system's error. */
  async head(size: number): Promise<TreeHead> {
    if (size > this.size) throw new RangeError(`the tree has ${this.size} leaves, and not ${size}`);
    if (size === this.size) return this.#frontier.head();
    if (size === 0) return { size, root: emptyRoot };
    const group = Math.floor(size / keptLeaves);
    const leaves = await this.#leaves(group, size - group * keptLeaves);
    const from = group * keptLeaves;
    const root = hashOfRange({ from: 0, to: size }, (level, index) =>
      level === 0 ? leaves[index - from] : this.#hashes[level - keptLevel]?.[index],
    );
    return { size, root };
  }

  #take(line: Buffer): void {
    // Most lines need not be parsed for it. A text in a record has its quotes escaped.
    const boot = line.includes(',"kind":"boot",') ? bootOf(line) : undefined;
    if (this.#identity === undefined) {
      this.#identity = boot === undefined ? undefined : this.#identityOf(boot);
      if (this.#identity === undefined) return;
    } else if (boot !== undefined || sequenceOf(line) !== this.#identity.first + this.size) {
      this.#isOver = true;
      return;
    }
    if (this.size % keptLeaves === 0) this.#offsets.push(this.#offset);
    this.#frontier.append(lineHashes(line).leaf, (level, index, hash) => {
      if (level < keptLevel) return;
      const kept = (this.#hashes[level - keptLevel] ??= []);
      kept[index] = hash;
    });
  }

  #identityOf({ sequence, logKey, facts }: BootRecord): LogIdentity | undefined {
    const { pin } = (facts['tls'] ?? {}) as { readonly pin?: unknown };
    const key = keyOf(logKey);
    return pin !== this.#pin || key === undefined ? undefined : { key, first: sequence };
  }

  async #leaves(group: number, count: number): Promise<readonly TreeHash[]> {
    const hashes: TreeHash[] = [];
    if (count === 0) return hashes;
    await this.#withFile(async (file) => {
      const reader = new LineReader(file, this.#offsets[group], chunkBytes);
      for (let lines = await reader.next(); lines !== undefined; lines = await reader.next())
        for (const line of lines) {
          hashes.push(lineHashes(line).leaf);
          if (hashes.length === count) return;
        }
    });
    return hashes;
  }

  async #withFile(work: (file: FileHandle) => Promise<void>): Promise<void> {
    const file = await open(this.#path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      await work(file);
    } finally {
      await file.close();
    }
  }
}

function bootOf(line: Buffer): BootRecord | undefined {
  const read = readRecord(line);
  return read.ok && read.record.kind === 'boot' ? read.record : undefined;
}

function keyOf(text: unknown): LogVerifier | undefined {
  if (typeof text !== 'string') return undefined;
  try {
    return parseAgentLogVerifier(text);
  } catch (error) {
    if (error instanceof TextFormError) return undefined;
    throw error;
  }
}
