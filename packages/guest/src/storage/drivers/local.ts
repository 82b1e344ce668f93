import { GuestError } from '../../error/guest-error.js';
import { mountAt } from '../mount-point.js';
import { groupOption, option } from '../storage-options.js';
import type { StorageDriver } from './storage-driver.js';

const SETGID = 0o2000;

/**
 * An emptyDir in guest memory, with its own size limit, so that a container which fills it takes no space from others
 * (S36). Options: `mode=` (octal) and `fsgid=`.
 */
export const local: StorageDriver = {
  name: 'local',
  ofPod: true,
  mountPoints: ['shared/containers/POD/rootfs/local/*', 'shared/containers/passthrough/POD/rootfs/local/*'],
  prepare(storage, context) {
    const given = option(storage.options, 'mode');
    const group = groupOption(storage.options);
    const mode = given === undefined ? 0o755 : octal(given);
    mountAt({ source: 'tmpfs', fstype: 'tmpfs', options: ['nodev', 'size=50%'] }, context);
    const directory = context.base.directory(context.place);
    try {
      if (group !== undefined) context.base.changeOwner(context.place, -1, group);
      directory.changeMode(mode | (group === undefined ? 0 : SETGID));
    } finally {
      directory.close();
    }
  },
};

function octal(text: string): number {
  if (/^[0-7]{1,5}$/.test(text)) return Number.parseInt(text, 8);
  throw new GuestError('invalid', `mode=${text} of a local storage is not an octal mode`);
}
