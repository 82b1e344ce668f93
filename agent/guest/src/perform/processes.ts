import type { CallSignal } from '../call-signal.js';
import { SIGKILL } from '@kata-agent/linux';
import type {
  ExecProcess,
  ProcessRef,
  ReadStream,
  ResizeTerminal,
  SignalProcess,
  WriteStdin,
} from '../request/actions.js';
import { killAll } from '../cgroup/freeze-and-kill.js';
import {
  checkBoundingSet,
  checkLastCapability,
  effectiveSignal,
  readStatus,
} from '../container/process-status.js';
import type { ContainerProcess } from '../container/container-process.js';
import { killIfThere, launchProcess } from '../container/launch-process.js';
import { withGuestAddresses } from '../device/pci-environment.js';
import { GuestError, translated } from '../guest-error.js';
import type { Guest } from '../guest.js';
import { passStdio } from '../stdio/pass-stdio.js';
import { exec } from '../runtime/command-lines.js';
import { runnableProcess } from '../create/build-spec.js';
import { ignoredLabels } from '../spec/security-labels.js';

export function execProcess(
  guest: Guest,
  { containerId, execId, process, stdio }: ExecProcess,
): Promise<void> {
  const { limits, capabilities, runtime, commands, log } = guest.context;
  const task = async (): Promise<void> => {
    const container = guest.container(containerId);
    container.makeRoom(execId, limits.execsPerContainer, guest.caller);
    // A setuid program would bypass the container's no_new_privs, whatever the request states.
    const noNewPrivileges = container.noNewPrivileges || process.noNewPrivileges;
    // A request that came before its container was created could not be completed: it would have the agent's limits.
    const rlimits = (process.rlimits ?? []).length > 0 ? process.rlimits : container.rlimits;
    const features = await capabilities();
    const env = withGuestAddresses(process.env ?? [], container.pciAddresses);
    const runnable = runnableProcess({ ...process, env, rlimits, noNewPrivileges }, features);
    for (const warning of ignoredLabels(process, {}, features))
      log('warn', warning, { container: containerId });
    const { proc } = guest.context.paths;
    const { pid } = container.first;
    container.pinned.check(containerId);
    checkLastCapability(pid, proc, containerId);
    const started = await launchProcess(
      { containerId, execId },
      process.terminal ?? false,
      (own) =>
        commands.run({ container: containerId, execId, command: 'exec', call: guest.signal }, (signal) =>
          exec(runtime, containerId, runnable, own, signal),
        ),
      guest.context,
    );
    try {
      // Checked again: a process that has left its namespaces in between cannot join them again.
      container.pinned.check(containerId);
      checkBoundingSet(started.pid, runnable.capabilities ?? {}, proc, containerId);
    } catch (error) {
      killIfThere(started.pid, guest.context);
      await started.exit;
      started.streams.end();
      throw error;
    }
    container.addExec(execId, started, guest.caller);
    if (stdio !== undefined)
      started.streams.passing = passStdio(started.streams, stdio, process.terminal ?? false);
  };
  return guest.change(task, { container: containerId }, () => guest.container(containerId));
}

/**
 * SIGKILL without an exec id kills all of the container's processes, as with Kata's agent; with the container's id it kills
 * the first one only.
 */
export function signalProcess(guest: Guest, { containerId, execId, signal }: SignalProcess): Promise<void> {
  return translated(async () => {
    const { syscalls, paths, commands } = guest.context;
    if (!Number.isInteger(signal) || signal < 0 || signal > 64) {
      throw new GuestError('invalid', `signal ${signal} is not between 0 and 64`);
    }
    const container = guest.container(containerId);
    const first = container.isFirst(execId);
    const what = `process ${JSON.stringify(execId)} of container ${containerId}`;
    const all = signal === SIGKILL && execId === '';
    // SIGKILL also ends an exec that the runtime has not yet started.
    const ends = all || (signal === SIGKILL && commands.runs(containerId, execId));
    // It has ended and no WaitProcess was answered: there is nothing to signal, which Kata's agent does not report.
    const isUnnoticed = !ends && endedUnnoticed(container.process(execId));
    if (!ends && !isUnnoticed) container.process(execId).livePid(what);
    await guest.begin();
    if (isUnnoticed) return;
    const aborted =
      signal === SIGKILL && commands.abort('it was killed', containerId, first ? undefined : execId);
    if (all) {
      guest.noteSignal(container);
      await killAll(container.cgroup, syscalls);
      return;
    }
    // A process that the runtime has not yet started must not be started any more.
    if (aborted && container.find(execId) === undefined) return;
    // Read again: it may have ended meanwhile, and its pid may have been reused.
    const process = container.process(execId);
    if (endedUnnoticed(process)) return;
    const pid = process.livePid(what);
    // Rules ask for the exit code of first processes alone.
    if (first && signal !== 0) guest.noteSignal(container);
    syscalls.kill(pid, effectiveSignal(signal, first, readStatus(pid, paths.proc)));
  });
}

function endedUnnoticed({ ended, waitedFor }: Pick<ContainerProcess, 'ended' | 'waitedFor'>): boolean {
  return ended && !waitedFor;
}

/**
 * Returns the exit code (128 + n for a signal n) once the process has ended. Rejects with the signal's reason when
 * aborted. Output over passed connections has been written by then: a caller that has the exit code reads no more
 * output.
 */
export async function waitProcess(guest: Guest, ref: ProcessRef, call: CallSignal): Promise<number> {
  const process = guest.process(ref);
  const code = await process.wait(call);
  await process.streams.passing?.delivered;
  return code;
}

/** Returns 1 to `length` bytes; waits if there are none; empty: end of file. */
export async function readStream(
  guest: Guest,
  { stream, length, ...ref }: ReadStream,
  call: CallSignal,
): Promise<Uint8Array> {
  return guest.process(ref).streams.read(stream, length, call);
}

/** Returns the number of bytes, once the pipe or terminal has taken them all. No bytes: closes stdin. */
export async function writeStdin(guest: Guest, { data, ...ref }: WriteStdin): Promise<number> {
  const { streams } = guest.process(ref);
  if (data.length > 0) return streams.write(data);
  streams.closeInput();
  return 0;
}

export async function closeStdin(guest: Guest, ref: ProcessRef): Promise<void> {
  guest.process(ref);
  await guest.begin();
  guest.process(ref).streams.closeInput();
}

export function resizeTerminal(guest: Guest, { rows, columns, ...ref }: ResizeTerminal): Promise<void> {
  return translated(async () => {
    guest.process(ref);
    await guest.begin();
    guest.process(ref).streams.resize(rows, columns);
  });
}
