import type { StorageDriver } from './storage-driver.js';
import { applyFsGroup } from './fs-group.js';
import { kernelOptions, mountAt } from './mount-point.js';
import { realSource } from './real-source.js';

/** A directory or file of the guest, seen at another place. */
export const bind: StorageDriver = {
  name: 'bind',
  ofPod: false,
  async prepare(storage, context) {
    const source = realSource(storage.source, 'source of a bind storage', context.paths);
    mountAt({ source, fstype: 'bind', options: kernelOptions(storage.options) }, context);
    await applyFsGroup(storage, context);
  },
};
