import type { ResizeTerminal } from '../actions.js';
import type { Guest } from '../guest.js';
import { translated } from '../translate-error.js';

export function resizeTerminal(guest: Guest, { rows, columns, ...ref }: ResizeTerminal): Promise<void> {
  return translated(async () => {
    guest.process(ref);
    await guest.begin();
    guest.process(ref).streams.resize(rows, columns);
  });
}
