import type { Container } from '../container/container.js';
import type { Guest } from '../guest.js';
import { GuestError } from '../guest-error.js';
import { pause } from '../runtime/commands.js';

export function pauseContainer(guest: Guest, id: string): Promise<void> {
  const task = async (): Promise<void> => {
    const { runtime, commands } = guest.context;
    const container = pausable(guest, id);
    await commands.run({ container: id, command: 'pause', call: guest.signal }, (signal) =>
      pause(runtime, id, signal),
    );
    container.state = 'paused';
  };
  return guest.change(task, { container: id }, () => pausable(guest, id));
}

function pausable(guest: Guest, id: string): Container {
  const container = guest.container(id);
  if (container.state !== 'started' || container.first.ended)
    throw new GuestError('precondition', `container ${id} does not run, so it cannot be paused`);
  return container;
}
