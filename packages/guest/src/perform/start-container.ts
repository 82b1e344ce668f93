import type { Container } from '../container/container.js';
import type { Guest } from '../guest.js';
import { GuestError } from '../guest-error.js';
import { start } from '../runtime/commands.js';

export function startContainer(guest: Guest, id: string): Promise<void> {
  return guest.change(
    async () => {
      const container = startable(guest, id);
      await start(guest.context.runtime, id);
      container.state = 'started';
    },
    () => startable(guest, id),
  );
}

function startable(guest: Guest, id: string): Container {
  const container = guest.container(id);
  if (container.state !== 'created')
    throw new GuestError('precondition', `container ${id} was started before`);
  return container;
}
