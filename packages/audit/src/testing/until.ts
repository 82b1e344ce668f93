import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for what happens in libuv's threads. A condition that never comes true fails the test. */
export async function until(condition: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 10_000; attempt += 1) {
    if (condition()) return;
    await sleep(1);
  }
  throw new Error('what the test waits for did not happen');
}
