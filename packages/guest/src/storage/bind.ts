import type { StorageDriver } from './storage-driver.js';
import { applyFsGroup, refuseFsGroup } from './fs-group.js';
import { bindAt } from './mount-point.js';

/** A directory or file of the guest, seen at another place. */
export const bind: StorageDriver = {
  name: 'bind',
  ofPod: false,
  async prepare(storage, context) {
    refuseFsGroup(storage, context);
    bindAt(context.open(storage.source, 'source of a bind storage'), storage.options, context);
    await applyFsGroup(storage, context);
  },
};
