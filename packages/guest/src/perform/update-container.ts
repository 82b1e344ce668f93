import type { UpdateContainer } from '../actions.js';
import type { Guest } from '../guest.js';
import { update } from '../runtime/commands.js';
import { settableResources } from '../spec/resources.js';

export function updateContainer(guest: Guest, { id, resources }: UpdateContainer): Promise<void> {
  return guest.change(
    async () => {
      const container = guest.container(id);
      const { hugePages } = await guest.context.capabilities();
      await update(guest.context.runtime, id, settableResources(resources, hugePages));
      const cpus = resources.cpu?.cpus ?? '';
      if (cpus === '') return;
      container.cpus = cpus;
      container.changed();
    },
    () => guest.container(id),
  );
}
