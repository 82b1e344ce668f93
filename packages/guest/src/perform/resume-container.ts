import type { Guest } from '../guest.js';
import { GuestError } from '../guest-error.js';
import { resume } from '../runtime/commands.js';

export function resumeContainer(guest: Guest, id: string): Promise<void> {
  const task = async (): Promise<void> => {
    const { runtime, commands } = guest.context;
    const container = guest.container(id);
    if (container.state !== 'paused') throw new GuestError('precondition', `container ${id} is not paused`);
    await commands.run({ container: id, command: 'resume', call: guest.signal }, (signal) =>
      resume(runtime, id, signal),
    );
    container.state = 'started';
  };
  return guest.change(task, { container: id });
}
