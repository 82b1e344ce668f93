import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for work in libuv's threads. Fails the test when the condition does not become true. */
export async function until(condition: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 10_000; attempt += 1) {
    if (condition()) return;
    await sleep(1);
  }
  throw new Error('the expected condition did not become true');
}
