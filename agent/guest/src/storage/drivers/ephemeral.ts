import { GuestError } from '../../error/guest-error.js';
import { applyFsGroup } from '../fs-group.js';
import { addHugePages, hugePagesOf, removeHugePages } from './huge-pages.js';
import { kernelOptions, mountAt } from '../mount-point.js';
import type { StorageDriver } from './storage-driver.js';
import { groupOption } from '../storage-options.js';

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
