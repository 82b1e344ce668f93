import type { UpdateContainer } from '../actions.js';
import type { Guest } from '../guest.js';
import { update } from '../runtime/commands.js';
import { settableResources } from '../spec/resources.js';

export function updateContainer(guest: Guest, { id, resources }: UpdateContainer): Promise<void> {
  const { runtime, commands, capabilities } = guest.context;
  const task = async (): Promise<void> => {
    const container = guest.container(id);
    const { hugePages } = await capabilities();
    await commands.run({ container: id, command: 'update', call: guest.signal }, (signal) =>
      update(runtime, id, settableResources(resources, hugePages), signal),
    );
    const cpus = resources.cpu?.cpus ?? '';
    if (cpus === '') return;
    container.cpus = cpus;
    container.changed();
  };
  return guest.change(task, { container: id }, () => guest.container(id));
}
