import type { CopyFile } from '../actions.js';
import { checkCopy, copyFile as place } from '../copy-file.js';
import type { Guest } from '../guest.js';
import { translated } from '../translate-error.js';

/** How long it waits, without a turn, for a container that is being made of the path: usually a fraction of a second. */
const patience = 10_000;

export function copyFile(guest: Guest, action: CopyFile): Promise<void> {
  const { paths, places } = guest.context;
  // As the way is walked: a blank name and `.` are nothing.
  const names = action.path.split('/').filter((name) => name !== '' && name !== '.');
  const path = `/${names.join('/')}`;
  return translated(async () => {
    await places.free(path, patience);
    return guest.change(
      () => places.copy(path, () => place(action, guest.context)),
      'sandbox',
      () => checkCopy(action, paths.kata),
    );
  });
}
