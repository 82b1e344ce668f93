import { Directory, mountCalls } from '@kata-agent/linux';
import type { Storage } from '../actions.js';
import { GuestError } from '../guest-error.js';
import { kernelOptions } from './mount-point.js';
import type { StorageEnvironment } from './storage-driver.js';

/** Gives a memory file system that is in place other options, as a larger size after the machine has grown. */
export function resizeMemory(storage: Storage, place: string, { syscalls, paths }: StorageEnvironment): void {
  const options = kernelOptions(storage.options);
  // Its rights and its group are as they were made: a resize does not undo what the pod did to them.
  const size = options.filter((option) => !/^(mode|uid|gid)=/.test(option));
  if (size.length === 0) return;
  const base = Directory.open(syscalls, paths.kata);
  const directory = base.directory(place);
  try {
    const type = storage.fstype === '' ? 'tmpfs' : storage.fstype;
    const request = { source: type, target: directory.path, type, options: ['remount', ...size] };
    for (const { source, target, flags, data } of mountCalls(request))
      syscalls.mount(source, target, type, flags, data);
  } catch (error) {
    throw new GuestError('invalid', `${storage.mountPoint} cannot be remounted with ${size.join(',')}`, {
      cause: error,
    });
  } finally {
    directory.close();
    base.close();
  }
}
