import { rootPaths } from '../../source/root-paths.js';
import type { StorageDriver } from './storage-driver.js';
import { applyFsGroup, refuseFsGroup } from '../fs-group.js';
import { bindAt } from '../mount-point.js';

/** A bind mount of a directory or file of the guest. */
export const bind: StorageDriver = {
  name: 'bind',
  ofPod: false,
  mountPoints: [...rootPaths, 'sandbox/storage/*'],
  async prepare(storage, context) {
    refuseFsGroup(storage, context);
    const source = await context.open(storage.source, 'source of a bind storage');
    await bindAt(source, storage.options, context);
    await applyFsGroup(storage, context);
  },
};
