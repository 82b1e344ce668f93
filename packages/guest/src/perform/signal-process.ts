import type { SignalProcess } from '../actions.js';
import { killAll } from '../cgroup/kill-all.js';
import { effectiveSignal, readStatus } from '../container/signal-rule.js';
import type { Guest } from '../guest.js';
import { GuestError } from '../guest-error.js';
import { translated } from '../translate-error.js';

const SIGKILL = 9;

/** SIGKILL to the first process goes to all of the container's. */
export function signalProcess(guest: Guest, { containerId, execId, signal }: SignalProcess): Promise<void> {
  return translated(async () => {
    const { syscalls, paths, commands } = guest.context;
    if (!Number.isInteger(signal) || signal < 0 || signal > 64) {
      throw new GuestError('invalid', `signal ${signal} is not between 0 and 64`);
    }
    const container = guest.container(containerId);
    const first = container.isFirst(execId);
    const what = `process ${JSON.stringify(execId)} of container ${containerId}`;
    // SIGKILL ends all of the container, or an exec that the runtime has not yet started.
    const ends = signal === SIGKILL && (first || commands.runs(containerId, execId));
    if (!ends) container.process(execId).livePid(what);
    await guest.begin();
    const aborted =
      signal === SIGKILL && commands.abort('it was killed', containerId, first ? undefined : execId);
    if (signal === SIGKILL && first) {
      await killAll(container.cgroup, syscalls);
      return;
    }
    // A process that the runtime had not yet started is not to be started any more.
    if (aborted && container.find(execId) === undefined) return;
    // Asked again: it may have ended meanwhile, and its number be another's.
    const pid = container.process(execId).livePid(what);
    syscalls.kill(pid, effectiveSignal(signal, first, readStatus(pid, paths.proc)));
  });
}
