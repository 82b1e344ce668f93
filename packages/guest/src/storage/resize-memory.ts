import { join } from 'node:path';
import { Directory, mounts, mountCalls } from '@kata-agent/linux';
import type { Storage } from '../actions.js';
import { GuestError } from '../guest-error.js';
import type { StorageEnvironment } from './storage-driver.js';

/** What may be changed of a memory file system that is in place. */
const changeable = /^(?:size|nr_inodes)=[0-9]+[kmgKMG%]?$/;
/** What the runtimes send beside it (Kata 4.1, virtcontainers/sandbox.go): that it is a change, and what was made before. */
const ignored = /^(?:remount|(?:mode|uid|gid|fsgid)=[0-9]+)$/;

/** Gives a memory file system that is in place another size. Its other options, rights and group stay as they are. */
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
  // A remount sets all flags anew: those that the mount has are given again.
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
