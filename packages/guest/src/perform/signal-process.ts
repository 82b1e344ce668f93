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
    const { syscalls, paths } = guest.context;
    if (!Number.isInteger(signal) || signal < 0 || signal > 64) {
      throw new GuestError('invalid', `signal ${signal} is not between 0 and 64`);
    }
    const container = guest.container(containerId);
    const all = signal === SIGKILL && container.isFirst(execId);
    const process = all ? undefined : container.process(execId);
    const what = `process ${JSON.stringify(execId)} of container ${containerId}`;
    process?.livePid(what);
    await guest.begin();
    if (process === undefined) {
      await killAll(container.cgroup, syscalls);
      return;
    }
    // Asked again: it may have ended meanwhile, and its number be another's.
    const pid = process.livePid(what);
    const first = process === container.first;
    syscalls.kill(pid, effectiveSignal(signal, first, readStatus(pid, paths.proc)));
  });
}
