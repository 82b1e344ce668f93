import type { Container } from '../container/container.js';
import type { Guest } from '../guest.js';
import { GuestError } from '../guest-error.js';
import { resume } from '../runtime/commands.js';

export function resumeContainer(guest: Guest, id: string): Promise<void> {
  return guest.change(
    async () => {
      const container = resumable(guest, id);
      await resume(guest.context.runtime, id);
      container.state = 'started';
    },
    () => resumable(guest, id),
  );
}

function resumable(guest: Guest, id: string): Container {
  const container = guest.container(id);
  if (container.state !== 'paused') throw new GuestError('precondition', `container ${id} is not paused`);
  return container;
}
