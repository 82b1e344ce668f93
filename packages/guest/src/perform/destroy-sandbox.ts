import type { Guest } from '../guest.js';
import { takeDown } from './take-down.js';

/** A process that does not die for so long after it was killed keeps neither the other containers nor the pod's end waiting. */
const patienceSeconds = 30;

/** Ends all containers and removes what they shared. Without a sandbox there is nothing to do. */
export function destroySandbox(guest: Guest): Promise<void> {
  const why = 'the sandbox was destroyed';
  const { waits, commands } = guest.context;
  // Once it is recorded, and before its turn, which they would keep waiting.
  const ending = guest.begin().then(() => commands.endAll(why));
  const task = async (): Promise<void> => {
    waits.giveUp(why);
    guest.sandbox.beginEnd();
    const failures: unknown[] = [];
    // The first container holds the namespaces of the others: it goes last.
    for (const container of [...guest.containers.values()].reverse()) {
      await takeDown(guest, container, patienceSeconds).catch((error: unknown) => failures.push(error));
    }
    await guest.sandbox.destroy();
    if (failures.length > 0) throw failures[0];
  };
  const done = guest.takeDown(task);
  return Promise.allSettled([ending, done]).then(([ended]) => {
    if (ended.status === 'fulfilled') ended.value.admit();
    return done;
  });
}
