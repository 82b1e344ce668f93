import { GuestError } from '../guest-error.js';
import { removeTree } from './remove-tree.js';
import { openPlace } from './mount-point.js';
import { groupOption, option } from './storage-options.js';
import type { StorageDriver } from './storage-driver.js';

const SETGID = 0o2000;

/** A directory in the guest's own file system: an emptyDir. Options: `mode=` (octal) and `fsgid=`. */
export const local: StorageDriver = {
  name: 'local',
  ofPod: true,
  prepare(storage, context) {
    const directory = openPlace(context);
    try {
      const group = groupOption(storage.options);
      if (group !== undefined) context.base.changeOwner(context.place, -1, group);
      const mode = option(storage.options, 'mode');
      if (mode !== undefined) directory.changeMode(octal(mode) | (group === undefined ? 0 : SETGID));
    } finally {
      directory.close();
    }
    context.made.push(`files in ${storage.mountPoint}`, () => removeTree(storage.mountPoint, context));
  },
};

function octal(text: string): number {
  if (/^[0-7]{1,5}$/.test(text)) return Number.parseInt(text, 8);
  throw new GuestError('invalid', `mode=${text} of a local storage is no octal mode`);
}
