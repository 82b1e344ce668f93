import type { RemoveContainer } from '../actions.js';
import type { Guest } from '../guest.js';
import { takeDown } from './take-down.js';

const nothingToEnd = Promise.resolve({ aborted: false, admit: () => undefined });

/**
 * One that runs is killed first; one whose making waits for a device, or for the runtime, is not made. What it keeps waiting
 * is given up at once, so that it does not keep its own removal waiting.
 */
export function removeContainer(guest: Guest, { id, timeoutSeconds }: RemoveContainer): Promise<void> {
  const why = 'the container was removed';
  const { waits, commands } = guest.context;
  const known = waits.has(id) || guest.containerFacts(id) !== undefined;
  // Once it is recorded, and before its turn: what keeps the turn waiting is ended by it.
  const ending = known ? guest.begin().then(() => commands.endAll(why, id)) : nothingToEnd;
  const task = async (): Promise<void> => {
    const { aborted } = await ending;
    if (waits.giveUp(why, id)) return;
    if (aborted && !guest.containers.has(id)) return;
    await takeDown(guest, guest.container(id), timeoutSeconds);
  };
  const done = guest.change(task, { container: id }, () => known || guest.container(id));
  return Promise.allSettled([ending, done]).then(([ended]) => {
    if (ended.status === 'fulfilled') ended.value.admit();
    return done;
  });
}
