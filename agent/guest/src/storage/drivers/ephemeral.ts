import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Directory, hasCode, mountCalls, mounts } from '@kata-agent/linux';
import { readIfThere } from '@kata-agent/base';
import { GuestError } from '../../guest-error.js';
import type { GuestPaths } from '../../paths/guest-paths.js';
import type { Storage } from '../../request/actions.js';
import { applyFsGroup } from '../fs-group.js';
import { kernelOptions, mountAt } from '../mount-point.js';
import type { StorageDriver, StorageEnvironment } from './storage-driver.js';
import { groupOption, option } from '../storage-options.js';
import { PlaceLocks } from '../place-locks.js';

/** Options of a mounted tmpfs that may change. */
const changeable = /^(?:size|nr_inodes)=[0-9]+[kmgKMG%]?$/;

/**
 * Options that the runtimes send with it (Kata 4.1, virtcontainers/sandbox.go): the request's marker, and those of the
 * original mount.
 */
const ignored = /^(?:remount|(?:mode|uid|gid|fsgid)=[0-9]+)$/;

/** The kernel has one counter for each page size: one storage at a time reads and writes it. */
const locks = new PlaceLocks();

const SETGID = 0o2000;

/** A storage with this type reserves its huge pages before the mount, and releases them after the unmount. */
export const hugePageFileSystem = 'hugetlbfs';

const sharedMemory = 'sandbox/shm';

/**
 * The size of /dev/shm that engines write if nobody chose one. Kata's agent ignores the options of a tmpfs, so that
 * programs there can share up to half of the guest's memory.
 */
const defaultSize = `size=${64 * 1024 * 1024}`;

/** Memory: a tmpfs, as for emptyDir and /dev/shm, or hugetlbfs. */
export const ephemeral: StorageDriver = {
  name: 'ephemeral',
  ofPod: true,
  mountPoints: [sharedMemory, 'sandbox/ephemeral/*'],
  async prepare(storage, context) {
    const fstype = storage.fstype === '' ? 'tmpfs' : storage.fstype;
    if (fstype !== 'tmpfs' && fstype !== hugePageFileSystem) {
      throw new GuestError(
        'refused',
        `file system ${JSON.stringify(fstype)} of an ephemeral storage is not tmpfs or hugetlbfs`,
      );
    }
    const requested = kernelOptions(storage.options);
    const sized =
      context.place === sharedMemory ? requested.filter((option) => option !== defaultSize) : requested;
    const options = ['nodev', ...sized];
    const group = groupOption(storage.options);
    if (fstype === hugePageFileSystem) {
      const pages = hugePagesOf(storage.options);
      await addHugePages(pages, context.paths);
      context.made.push('huge pages', () => removeHugePages(pages, context.paths));
    }
    await mountAt({ source: fstype, fstype, options }, context);
    if (group !== undefined)
      await context.media.run('setAttributes', { place: context.place, group, added: SETGID }, [
        context.base.fd,
      ]);
    await applyFsGroup(storage, context);
  },
};

/** Size of the pages and of the whole storage. */
interface HugePages {
  /** Bytes. */
  readonly pageSize: bigint;
  readonly pages: bigint;
}

type Roots = Pick<GuestPaths, 'proc' | 'sys'>;

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

/** Remounts a tmpfs with another size. Its other options, permissions and group are unchanged. */
export function resizeMemory(storage: Storage, place: string, { syscalls, paths }: StorageEnvironment): void {
  const options = storage.options.flatMap((option) => option.split(',')).filter((option) => option !== '');
  const other = options.find((option) => !changeable.test(option) && !ignored.test(option));
  if (other !== undefined)
    throw new GuestError(
      'refused',
      `${storage.mountPoint}: only size and nr_inodes can be changed, not ${JSON.stringify(other)}`,
    );
  const size = options.filter((option) => changeable.test(option));
  if (size.length === 0) return;
  const target = join(paths.kata, place);
  const mounted = mounts().findLast((mount) => mount.target === target);
  if (mounted === undefined) throw new GuestError('not-found', `there is no mount at ${storage.mountPoint}`);
  // A remount sets all flags: the mount's current ones are passed again.
  const kept = mounted.options.filter((option) => option !== 'rw');
  const base = Directory.open(syscalls, paths.kata);
  const directory = base.directory(place);
  try {
    const { type } = mounted;
    const request = { source: type, target: directory.path, type, options: ['remount', ...kept, ...size] };
    for (const { source, target: path, flags, data } of mountCalls(request))
      syscalls.mount(source, path, type, flags, data);
  } catch (error) {
    throw new GuestError('invalid', `${storage.mountPoint} cannot be remounted with ${size.join(',')}`, {
      cause: error,
    });
  } finally {
    directory.close();
    base.close();
  }
}
