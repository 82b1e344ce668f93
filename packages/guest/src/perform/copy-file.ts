import type { CopyFile } from '../actions.js';
import { checkCopy, copyFile as place } from '../copy-file.js';
import type { Guest } from '../guest.js';

export function copyFile(guest: Guest, action: CopyFile): Promise<void> {
  return guest.change(
    async () => place(action, guest.context),
    'sandbox',
    () => checkCopy(action, guest.context.paths.kata),
  );
}
