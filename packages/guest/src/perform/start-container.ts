import type { Container } from '../container/container.js';
import type { Guest } from '../guest.js';
import { GuestError } from '../guest-error.js';
import { start } from '../runtime/commands.js';

export function startContainer(guest: Guest, id: string): Promise<void> {
  const task = async (): Promise<void> => {
    const { runtime, commands } = guest.context;
    const container = startable(guest, id);
    await commands.run({ container: id, command: 'start', call: guest.signal }, (signal) =>
      start(runtime, id, signal),
    );
    container.state = 'started';
  };
  return guest.change(task, { container: id }, () => startable(guest, id));
}

function startable(guest: Guest, id: string): Container {
  const container = guest.container(id);
  if (container.state !== 'created')
    throw new GuestError('precondition', `container ${id} was started before`);
  return container;
}
