import type { RemoveContainer } from '../actions.js';
import type { Guest } from '../guest.js';
import { takeDown } from './take-down.js';

/**
 * One that runs is killed first; one whose making waits for a device, or for the runtime, is not made. What it keeps waiting
 * is given up at once, so that it does not keep its own removal waiting.
 */
export function removeContainer(guest: Guest, { id, timeoutSeconds }: RemoveContainer): Promise<void> {
  const why = 'the container was removed';
  const { waits, commands } = guest.context;
  const ending = commands.endAll(why, id);
  const task = async (): Promise<void> => {
    if (waits.giveUp(why, id)) return;
    if (ending.aborted && !guest.containers.has(id)) return;
    await takeDown(guest, guest.container(id), timeoutSeconds);
  };
  return guest.change(task, { container: id }).finally(ending.admit);
}
