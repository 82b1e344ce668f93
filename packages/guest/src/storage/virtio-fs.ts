import { GuestError } from '../guest-error.js';
import { applyFsGroup, refuseFsGroup } from './fs-group.js';
import { kernelOptions, mountAt } from './mount-point.js';
import type { StorageDriver } from './storage-driver.js';

const tagPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,35}$/;
const options: ReadonlySet<string> = new Set(['dax', 'dax=always', 'dax=never', 'dax=inode', 'nodax']);

/** A folder of the host, shared by virtiofsd under a tag. */
export const virtioFs: StorageDriver = {
  name: 'virtio-fs',
  ofPod: false,
  async prepare(storage, context) {
    refuseFsGroup(storage, context);
    const { source, fstype } = storage;
    if (fstype !== 'virtiofs')
      throw new GuestError(
        'refused',
        `file system ${JSON.stringify(fstype)} of a shared folder is not virtiofs`,
      );
    if (!tagPattern.test(source))
      throw new GuestError('invalid', `${JSON.stringify(source.slice(0, 80))} is no tag of a shared folder`);
    mountAt({ source, fstype, options: ['nodev', ...kernelOptions(storage.options, options)] }, context);
    await applyFsGroup(storage, context);
  },
};
