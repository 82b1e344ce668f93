import type { Guest } from '../guest.js';
import { GuestError } from '../guest-error.js';
import { start } from '../runtime/commands.js';

export function startContainer(guest: Guest, id: string): Promise<void> {
  return guest.change(async () => {
    const container = guest.container(id);
    if (container.state !== 'created')
      throw new GuestError('precondition', `container ${id} was started before`);
    await start(guest.context.runtime, id);
    container.state = 'started';
  });
}
