import type { CreateSandbox } from '../actions.js';
import type { Guest } from '../guest.js';
import { GuestError } from '../guest-error.js';

export function createSandbox(guest: Guest, action: CreateSandbox): Promise<void> {
  return guest.change(async () => {
    if (guest.containers.size > 0) {
      throw new GuestError('precondition', 'there are containers already; the sandbox comes before them');
    }
    await guest.sandbox.create(action);
  });
}
