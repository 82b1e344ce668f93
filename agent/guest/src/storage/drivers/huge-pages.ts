import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../../error/guest-error.js';
import type { GuestPaths } from '../../paths/guest-paths.js';
import { readIfThere } from '@kata-agent/base';
import { PlaceLocks } from '../place-locks.js';
import { option } from '../storage-options.js';

/** Size of the pages and of the whole storage. */
export interface HugePages {
  /** Bytes. */
  readonly pageSize: bigint;
  readonly pages: bigint;
}

type Roots = Pick<GuestPaths, 'proc' | 'sys'>;

/** The kernel has one counter for each page size: one storage at a time reads and writes it. */
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
 * Reserves huge pages in addition to those that the guest has. If the kernel finds fewer, none are kept. Runs in a
 * thread: the kernel may search for memory for a while.
 *
 * @throws GuestError `precondition` for a size that this kernel does not have, `exhausted` if there is not enough
 * memory
 */
export async function addHugePages({ pageSize, pages }: HugePages, roots: Roots): Promise<void> {
  const available = availableMemory(roots);
  if (available !== undefined && pages * pageSize > available)
    throw new GuestError(
      'exhausted',
      `${pages} huge pages of ${pageSize} bytes exceed the available memory of ${available} bytes; help: use a smaller size= or a larger guest`,
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

/** Releases reserved pages. The kernel frees pages in use with their last user. */
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

/** Returns the number of huge pages without surplus pages, which the kernel frees by itself and a write does not set. */
async function persistentPages(directory: string): Promise<bigint | undefined> {
  try {
    const all = await readFile(join(directory, 'nr_hugepages'), 'utf8');
    return (
      BigInt(all.trim()) - BigInt(readIfThere(join(directory, 'surplus_hugepages'))?.toString().trim() ?? 0)
    );
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function setPages(directory: string, pages: bigint): Promise<void> {
  return writeFile(join(directory, 'nr_hugepages'), `${pages}\n`, { flag: 'r+' });
}

/** Returns the available memory in bytes. Without this check the kernel would reserve all free memory before it fails. */
function availableMemory({ proc }: Roots): bigint | undefined {
  const kilobytes = /^MemAvailable:\s+(\d+) kB$/m.exec(
    readIfThere(join(proc, 'meminfo'))?.toString() ?? '',
  )?.[1];
  return kilobytes === undefined ? undefined : BigInt(kilobytes) * 1024n;
}

function bytes(options: readonly string[], name: string): bigint {
  const text = option(options, name);
  if (text === undefined || !/^[1-9]\d{0,17}$/.test(text)) {
    throw new GuestError(
      'invalid',
      `huge pages need ${name}= in bytes, not ${JSON.stringify(text ?? 'none')}`,
    );
  }
  return BigInt(text);
}
