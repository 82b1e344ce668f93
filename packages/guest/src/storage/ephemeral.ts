import { GuestError } from '../guest-error.js';
import { applyFsGroup } from './fs-group.js';
import { addHugePages, hugePagesOf, removeHugePages } from './huge-pages.js';
import { kernelOptions, mountAt } from './mount-point.js';
import type { StorageDriver } from './storage-driver.js';
import { groupOption } from './storage-options.js';

const SETGID = 0o2000;

/** A storage of it has added its pages before it is mounted, and gives them back after. */
export const hugePageFileSystem = 'hugetlbfs';

/** Memory: a tmpfs, as for emptyDir and /dev/shm, or huge pages. */
export const ephemeral: StorageDriver = {
  name: 'ephemeral',
  ofPod: true,
  async prepare(storage, context) {
    const fstype = storage.fstype === '' ? 'tmpfs' : storage.fstype;
    if (fstype !== 'tmpfs' && fstype !== hugePageFileSystem) {
      throw new GuestError(
        'refused',
        `ephemeral storage of file system ${JSON.stringify(fstype)}: tmpfs or hugetlbfs`,
      );
    }
    const options = ['nodev', ...kernelOptions(storage.options)];
    const group = groupOption(storage.options);
    if (fstype === hugePageFileSystem) {
      const pages = hugePagesOf(storage.options);
      await addHugePages(pages, context.paths);
      context.made.push('huge pages', () => removeHugePages(pages, context.paths));
    }
    mountAt({ source: fstype, fstype, options }, context);
    if (group !== undefined) {
      const directory = context.base.directory(context.place);
      try {
        const mode = context.base.stat(context.place)?.mode ?? 0o755;
        context.base.changeOwner(context.place, -1, group);
        directory.changeMode((mode & 0o7777) | SETGID);
      } finally {
        directory.close();
      }
    }
    await applyFsGroup(storage, context);
  },
};
