import { join } from 'node:path';
import { MountFlag, mounts, parseMountOptions } from '@kata-agent/linux';
import { GuestError } from '../../guest-error.js';
import { applyFsGroup, refuseFsGroup } from '../fs-group.js';
import { kernelOptions, mountAt, unmountPlace } from '../mount-point.js';
import type { StorageContext, StorageDriver } from './storage-driver.js';
import { quotedWord } from '../../quoted.js';

const tagPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,35}$/;
const ownOptions: ReadonlySet<string> = new Set(['dax', 'dax=always', 'dax=never', 'dax=inode', 'nodax']);

/**
 * The tag of a share that the guest may have mounted before the agent (Kata 4.1, KATA_SHAREDFS_GUEST_PREMOUNT_TAG in
 * src/libs/kata-types/src/mount.rs).
 */
const premounted = 'kataShared';

/** A directory of the host, shared by virtiofsd under a tag. */
export const virtioFs: StorageDriver = {
  name: 'virtio-fs',
  ofPod: false,
  mountPoints: ['shared', 'shared/containers'],
  async prepare(storage, context) {
    refuseFsGroup(storage, context);
    const { source, fstype } = storage;
    if (fstype !== 'virtiofs')
      throw new GuestError(
        'refused',
        `file system ${JSON.stringify(fstype)} of a shared directory is not virtiofs`,
      );
    if (!tagPattern.test(source))
      throw new GuestError('invalid', `${quotedWord(source)} is not a valid tag of a shared directory`);
    const options = kernelOptions(storage.options, (option) => ownOptions.has(option));
    if (source !== premounted || !(await takeOver(context)))
      await mountAt({ source, fstype, options: ['nodev', ...options] }, context);
    await applyFsGroup(storage, context);
  },
};

/** Uses what is mounted at the mount point already, without devices. It ends with the storage. Returns false without one. */
async function takeOver(context: StorageContext): Promise<boolean> {
  const { base, place, paths, media, made, log } = context;
  const target = join(paths.kata, place);
  const mounted = mounts().findLast((mount) => mount.target === target);
  if (mounted === undefined) return false;
  log('info', `${premounted} is mounted at ${target} already`);
  const { flags } = parseMountOptions([...mounted.options, 'nodev']);
  await media.run('remount', { place, flags: flags | MountFlag.Bind | MountFlag.Remount }, [base.fd]);
  made.push(`mount at ${place}`, () => unmountPlace(context));
  return true;
}
