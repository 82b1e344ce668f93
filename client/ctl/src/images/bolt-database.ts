import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { unreadable } from '@kata-agent/cli';

/**
 * A database of bbolt, read while another program may write it: pages are copied on write, so that those of the last
 * transaction stay as they are until the next one is committed. Source: go.etcd.io/bbolt, internal/common/page.go,
 * meta.go and bucket.go (numbers are those of the processor, little-endian here).
 */

/** What has names and values, and other buckets. */
export interface BoltBucket {
  /** Returns each key with its bytes, or with the bucket in it, in the order of the keys. Throws a BoltError. */
  contents(): ReadonlyMap<string, Buffer | BoltBucket>;
}

/** The file is no database, is damaged, or changes too quickly. */
export class BoltError extends Error {
  override readonly name = 'BoltError';
}

/**
 * Calls `work` with the root of a database until no transaction was committed meanwhile, and returns its result.
 * Throws a CommandError (3): the file cannot be read; a BoltError.
 */
export function readBolt<T>(path: string, work: (root: BoltBucket) => T): T {
  const descriptor = openDatabase(path);
  try {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const before = lastMeta(descriptor);
      let result: { value: T } | { error: unknown };
      try {
        const pages = new Pages(descriptor, before);
        result = { value: work(bucketAt(pages, before.root)) };
      } catch (error) {
        // A page that is written meanwhile looks damaged.
        result = { error };
      }
      if (lastMeta(descriptor).transaction !== before.transaction) continue;
      if ('error' in result) throw result.error;
      return result.value;
    }
    throw new BoltError(`it changed ${maxAttempts} times while it was read`);
  } finally {
    closeSync(descriptor);
  }
}

const maxAttempts = 100;

function openDatabase(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** The beginning of the tree after a transaction. Two pages have them in turn. */
interface Meta {
  readonly pageSize: number;
  readonly root: bigint;
  /** One more than the number of the last page. */
  readonly pages: bigint;
  readonly transaction: bigint;
}

const pageHeaderBytes = 16;
const metaBytes = 64;
const magic = 0xed0cdaed;
const version = 2;
/** From 1 KiB to 16 MiB, as bbolt tries them. */
const pageSizes = Array.from({ length: 15 }, (_, shift) => 1024 << shift);

/** Returns the valid one of the two that has the higher transaction. Throws a BoltError: there is none. */
function lastMeta(descriptor: number): Meta {
  const first = metaAt(descriptor, 0);
  const second =
    first === undefined
      ? pageSizes.map((size) => metaAt(descriptor, size)).find((meta) => meta !== undefined)
      : metaAt(descriptor, first.pageSize);
  if (first === undefined && second === undefined) throw new BoltError('it is not a database of bbolt');
  if (first === undefined) return second as Meta;
  return second === undefined || first.transaction > second.transaction ? first : second;
}

function metaAt(descriptor: number, position: number): Meta | undefined {
  const bytes = Buffer.alloc(metaBytes);
  if (readSync(descriptor, bytes, 0, metaBytes, position + pageHeaderBytes) !== metaBytes) return undefined;
  const checksum = bytes.readBigUInt64LE(56);
  const pageSize = bytes.readUInt32LE(8);
  const isMeta =
    bytes.readUInt32LE(0) === magic &&
    bytes.readUInt32LE(4) === version &&
    pageSizes.includes(pageSize) &&
    checksum === fnv1a(bytes.subarray(0, 56));
  return isMeta
    ? {
        pageSize,
        root: bytes.readBigUInt64LE(16),
        pages: bytes.readBigUInt64LE(40),
        transaction: bytes.readBigUInt64LE(48),
      }
    : undefined;
}

/** FNV-1a with 64 bits, as Go's hash/fnv. */
function fnv1a(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}

const branchPage = 0x01;
const leafPage = 0x02;
const elementBytes = 16;
const bucketHeaderBytes = 16;
const bucketElement = 0x01;
/** A value over many pages: more than any that a program writes on purpose. */
const maxPageBytes = 64 << 20;

/** The pages of one transaction. */
class Pages {
  readonly #descriptor: number;
  readonly #meta: Meta;
  readonly #fileSize: number;

  constructor(descriptor: number, meta: Meta) {
    this.#descriptor = descriptor;
    this.#meta = meta;
    this.#fileSize = fstatSync(descriptor).size;
  }

  read(number: bigint): Buffer {
    if (number < 2n || number >= this.#meta.pages)
      throw new BoltError(`it is damaged: it has no page ${number}`);
    const position = Number(number) * this.#meta.pageSize;
    const header = this.#bytes(position, pageHeaderBytes);
    const size = (header.readUInt32LE(12) + 1) * this.#meta.pageSize;
    if (header.readBigUInt64LE(0) !== number || size > maxPageBytes)
      throw new BoltError(`it is damaged: page ${number} is another one, or too large`);
    return this.#bytes(position, size);
  }

  #bytes(position: number, size: number): Buffer {
    if (position + size > this.#fileSize) throw new BoltError('it is damaged: it ends inside a page');
    const bytes = Buffer.alloc(size);
    readSync(this.#descriptor, bytes, 0, size, position);
    return bytes;
  }
}

function bucketAt(pages: Pages, root: bigint): BoltBucket {
  return { contents: () => entriesOf(pages, pages.read(root)) };
}

function entriesOf(pages: Pages, top: Buffer): ReadonlyMap<string, Buffer | BoltBucket> {
  const found = new Map<string, Buffer | BoltBucket>();
  const visit = (page: Buffer): void => {
    const kind = page.readUInt16LE(8);
    const count = page.readUInt16LE(10);
    if (kind !== branchPage && kind !== leafPage)
      throw new BoltError(`it is damaged: a page of kind ${kind}`);
    for (let index = 0; index < count; index++) {
      const at = pageHeaderBytes + index * elementBytes;
      if (kind === leafPage) addElement(page, at);
      else visitChild(part(page, at, elementBytes).readBigUInt64LE(8));
    }
  };
  // Each page has one parent: a second reference would be a loop.
  const visited = new Set<bigint>();
  const visitChild = (number: bigint): void => {
    if (visited.has(number)) throw new BoltError(`it is damaged: page ${number} is in two places`);
    visited.add(number);
    visit(pages.read(number));
  };
  const addElement = (page: Buffer, at: number): void => {
    const element = part(page, at, elementBytes);
    const keyBytes = element.readUInt32LE(8);
    const start = at + element.readUInt32LE(4);
    const key = part(page, start, keyBytes).toString('utf8');
    const value = part(page, start + keyBytes, element.readUInt32LE(12));
    found.set(key, element.readUInt32LE(0) === bucketElement ? bucketIn(pages, value) : value);
  };
  visit(top);
  return found;
}

/** A small bucket has its page in the value itself. */
function bucketIn(pages: Pages, value: Buffer): BoltBucket {
  const root = part(value, 0, bucketHeaderBytes).readBigUInt64LE(0);
  return root === 0n
    ? { contents: () => entriesOf(pages, part(value, bucketHeaderBytes, value.length - bucketHeaderBytes)) }
    : bucketAt(pages, root);
}

function part(bytes: Buffer, position: number, size: number): Buffer {
  if (size >= 0 && position + size <= bytes.length) return bytes.subarray(position, position + size);
  throw new BoltError('it is damaged: an element ends outside its page');
}
