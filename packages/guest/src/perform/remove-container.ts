import type { RemoveContainer } from '../actions.js';
import type { Guest } from '../guest.js';
import { takeDown } from './take-down.js';

/** One that runs is killed first; one whose making waits for a device is not made. */
export function removeContainer(guest: Guest, { id, timeoutSeconds }: RemoveContainer): Promise<void> {
  const { waits } = guest.context;
  return guest.change(
    async () => {
      if (waits.giveUp('the container was removed', id)) return;
      await takeDown(guest, guest.container(id), timeoutSeconds);
    },
    () => waits.has(id) || guest.container(id),
  );
}
