import type { ChildProcess } from 'node:child_process';
import { after } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

const running = new Set<ChildProcess>();

/**
 * Ends a child process after the tests of this file, if it still runs then: a test that fails before it ends its programs would
 * keep the run waiting until its timeout, and leave them behind. SIGTERM, so that an agent removes its containers, then SIGKILL.
 */
export function endWithTests<Child extends ChildProcess>(child: Child): Child {
  running.add(child);
  const forget = (): void => void running.delete(child);
  child.once('exit', forget).once('error', forget);
  return child;
}

after(async () => {
  for (const child of running) child.kill('SIGTERM');
  for (let tries = 0; running.size > 0 && tries < 100; tries += 1) await delay(100);
  for (const child of running) child.kill('SIGKILL');
});
