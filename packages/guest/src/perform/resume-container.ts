import type { Container } from '../container/container.js';
import type { Guest } from '../guest.js';
import { GuestError } from '../guest-error.js';
import { resume } from '../runtime/commands.js';

export function resumeContainer(guest: Guest, id: string): Promise<void> {
  const task = async (): Promise<void> => {
    const { runtime, commands } = guest.context;
    const container = resumable(guest, id);
    await commands.run({ container: id, command: 'resume', call: guest.signal }, (signal) =>
      resume(runtime, id, signal),
    );
    container.state = 'started';
  };
  return guest.change(task, { container: id }, () => resumable(guest, id));
}

function resumable(guest: Guest, id: string): Container {
  const container = guest.container(id);
  if (container.state !== 'paused') throw new GuestError('precondition', `container ${id} is not paused`);
  return container;
}
