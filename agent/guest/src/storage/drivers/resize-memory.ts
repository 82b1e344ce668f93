import { join } from 'node:path';
import { Directory, mounts, mountCalls } from '@kata-agent/linux';
import type { Storage } from '../../request/actions.js';
import { GuestError } from '../../error/guest-error.js';
import type { StorageEnvironment } from './storage-driver.js';

/** Options of a mounted tmpfs that may change. */
const changeable = /^(?:size|nr_inodes)=[0-9]+[kmgKMG%]?$/;
/**
 * Options that the runtimes send with it (Kata 4.1, virtcontainers/sandbox.go): the request's marker, and those of the
 * original mount.
 */
const ignored = /^(?:remount|(?:mode|uid|gid|fsgid)=[0-9]+)$/;

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
