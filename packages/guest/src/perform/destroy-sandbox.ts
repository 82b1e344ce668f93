import type { Guest } from '../guest.js';
import { takeDown } from './take-down.js';

/** Ends all containers and removes what they shared. Without a sandbox there is nothing to do. */
export function destroySandbox(guest: Guest): Promise<void> {
  return guest.takeDown(async () => {
    guest.context.waits.giveUp('the sandbox was destroyed');
    guest.sandbox.beginEnd();
    const failures: unknown[] = [];
    // The first container holds the namespaces of the others: it goes last.
    for (const container of [...guest.containers.values()].reverse()) {
      await takeDown(guest, container, 0).catch((error: unknown) => failures.push(error));
    }
    await guest.sandbox.destroy();
    if (failures.length > 0) throw failures[0];
  });
}
