import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { GuestPaths } from '../guest-options.js';
import { readIfThere } from '../read-if-there.js';
import { PlaceLocks } from './place-locks.js';
import { option } from './storage-options.js';

/** What a storage of huge pages takes. */
export interface HugePages {
  /** In bytes. */
  readonly pageSize: bigint;
  readonly pages: bigint;
}

type Roots = Pick<GuestPaths, 'proc' | 'sys'>;

/** The kernel has one number for each size of pages: it is read and written by one storage at a time. */
const locks = new PlaceLocks();

/**
 * Reads the options `pagesize=BYTES` and `size=BYTES`.
 *
 * @throws GuestError `invalid`
 */
export function hugePagesOf(options: readonly string[]): HugePages {
  const pageSize = bytes(options, 'pagesize');
  return { pageSize, pages: bytes(options, 'size') / pageSize };
}

/**
 * Adds huge pages to those that the guest has. A kernel that finds fewer than that keeps none of them. In a thread: other calls
 * are answered while the kernel looks for memory.
 *
 * @throws GuestError `precondition` for a size that this kernel does not have, `exhausted` when there is not enough memory
 */
export async function addHugePages({ pageSize, pages }: HugePages, roots: Roots): Promise<void> {
  const available = availableMemory(roots);
  if (available !== undefined && pages * pageSize > available)
    throw new GuestError(
      'exhausted',
      `${pages} huge pages of ${pageSize} bytes are more than the available memory of ${available} bytes; make size= smaller or the guest larger`,
    );
  const directory = directoryOf(pageSize, roots);
  await locks.during(directory, async () => {
    const before = await persistentPages(directory);
    if (before === undefined)
      throw new GuestError('precondition', `this kernel has no huge pages of ${pageSize} bytes`);
    await setPages(directory, before + pages);
    const added = ((await persistentPages(directory)) ?? 0n) - before;
    if (added >= pages) return;
    await setPages(directory, before);
    throw new GuestError('exhausted', `only ${added} of ${pages} huge pages of ${pageSize} bytes are free`);
  });
}

/** Gives back what was added. Pages that are still in use go with their last user. */
export async function removeHugePages({ pageSize, pages }: HugePages, roots: Roots): Promise<void> {
  const directory = directoryOf(pageSize, roots);
  await locks.during(directory, async () => {
    const before = await persistentPages(directory);
    if (before !== undefined) await setPages(directory, before > pages ? before - pages : 0n);
  });
}

function directoryOf(pageSize: bigint, { sys }: Roots): string {
  return join(sys, `kernel/mm/hugepages/hugepages-${pageSize / 1024n}kB`);
}

/** Without those that go by themselves when they are free, which are no part of the number that is written. */
async function persistentPages(directory: string): Promise<bigint | undefined> {
  try {
    const all = await readFile(join(directory, 'nr_hugepages'), 'utf8');
    return BigInt(all.trim()) - BigInt(readIfThere(join(directory, 'surplus_hugepages'))?.trim() ?? 0);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function setPages(directory: string, pages: bigint): Promise<void> {
  return writeFile(join(directory, 'nr_hugepages'), `${pages}\n`, { flag: 'r+' });
}

/** In bytes. Without a look at it the kernel would take all that there is before it finds too little. */
function availableMemory({ proc }: Roots): bigint | undefined {
  const kilobytes = /^MemAvailable:\s+(\d+) kB$/m.exec(readIfThere(join(proc, 'meminfo')) ?? '')?.[1];
  return kilobytes === undefined ? undefined : BigInt(kilobytes) * 1024n;
}

function bytes(options: readonly string[], name: string): bigint {
  const text = option(options, name);
  if (text === undefined || !/^[1-9]\d{0,17}$/.test(text)) {
    throw new GuestError(
      'invalid',
      `huge pages need ${name}= in bytes; there is ${JSON.stringify(text ?? 'none')}`,
    );
  }
  return BigInt(text);
}
