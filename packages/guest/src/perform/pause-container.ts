import type { Container } from '../container/container.js';
import type { Guest } from '../guest.js';
import { GuestError } from '../guest-error.js';
import { pause } from '../runtime/commands.js';

export function pauseContainer(guest: Guest, id: string): Promise<void> {
  return guest.change(
    async () => {
      const container = pausable(guest, id);
      await pause(guest.context.runtime, id);
      container.state = 'paused';
    },
    () => pausable(guest, id),
  );
}

function pausable(guest: Guest, id: string): Container {
  const container = guest.container(id);
  if (container.state !== 'started' || container.first.ended)
    throw new GuestError('precondition', `container ${id} does not run, so it cannot be paused`);
  return container;
}
