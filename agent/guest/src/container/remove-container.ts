import { setTimeout as delay } from 'node:timers/promises';
import type { Syscalls } from '@kata-agent/linux';
import { killAll } from '../cgroup/freeze-and-kill.js';
import { GuestError } from '../guest-error.js';
import type { Container } from './container.js';
import type { GuestLog } from '../guest-log.js';

/**
 * Removes a container: kills its processes, waits for their end, and undoes its creation.
 *
 * @param timeoutSeconds how long its processes may take to end; 0: without limit. After a time-out nothing has been
 * undone, and removal can be requested again.
 * @param ended called when its processes have ended, before anything is undone.
 */
export async function removeContainer(
  container: Container,
  timeoutSeconds: number,
  context: { readonly syscalls: Syscalls; readonly log: GuestLog },
  ended: () => void,
): Promise<void> {
  const running = container.processes.filter((process) => !process.ended);
  if (running.length > 0) {
    await killAll(container.cgroup, context.syscalls);
    await within(timeoutSeconds, container.id, Promise.all(running.map((process) => process.exit)));
  }
  ended();
  container.beginRemoval();
  for (const process of container.processes) process.streams.end();
  const failures = await container.made.unwind();
  for (const { message } of failures) context.log('error', message, { container: container.id });
  const [first] = failures;
  if (first !== undefined) {
    throw new GuestError('internal', `container ${container.id} is removed, but: ${first.message}`, {
      cause: first,
    });
  }
}

async function within(seconds: number, id: string, done: Promise<unknown>): Promise<void> {
  if (seconds === 0) {
    await done;
    return;
  }
  const over = new AbortController();
  // setTimeout is limited to 31 bits of milliseconds; a longer one would fire at once.
  const milliseconds = Math.min(seconds * 1000, 2 ** 31 - 1);
  const late = delay(milliseconds, 'late', { signal: over.signal }).catch(() => 'over');
  const first = await Promise.race([done, late]);
  over.abort();
  if (first === 'late') {
    throw new GuestError(
      'internal',
      `ETIME: container ${id} still has processes ${seconds} s after they were killed`,
    );
  }
}
