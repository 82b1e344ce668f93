import { hasCode, processStat, type Reaper, SIGKILL } from '@kata-agent/linux';
import type { ProcessRef } from '../request/actions.js';
import type { Stdio } from '../runtime/oci-runtime.js';
import { preparePipes, prepareTerminal, type StreamOptions } from '../stdio/prepare-streams.js';
import type { ProcessStreams } from '../stdio/process-streams.js';
import { ContainerProcess } from './container-process.js';
import type { GuestLog } from '../guest-log.js';
import type { OomWatch } from '../cgroup/oom-watch.js';

/** Dependencies of a launch. */
export interface LaunchContext extends StreamOptions {
  readonly reaper: Reaper;
  readonly oom: OomWatch;
  readonly log: GuestLog;
}

/** Exit code of a process whose status is unknown; Kata's runtime-rs reports the same for a failed wait. */
export const UNKNOWN_EXIT = 255;

/**
 * Creates the streams, has the runtime launch a process with their other ends, and tracks the process. On failure no
 * stream is open and no process is left.
 */
export async function launchProcess(
  ref: ProcessRef,
  terminal: boolean,
  launch: (stdio: Stdio) => Promise<number>,
  context: LaunchContext,
): Promise<ContainerProcess> {
  const prepared = terminal ? prepareTerminal(ref, context) : preparePipes(ref, context);
  let pid: number;
  try {
    pid = await launch(prepared.stdio);
  } catch (error) {
    prepared.discard();
    throw error;
  }
  const exit = exitOf(pid, ref, context);
  let streams: ProcessStreams;
  let startTime: number;
  try {
    startTime = processStat(pid, context.paths.proc)?.startTime ?? 0;
    streams = prepared.attach();
  } catch (error) {
    prepared.discard();
    killIfThere(pid, context);
    await exit;
    throw error;
  }
  return new ContainerProcess({ pid, startTime, streams, pipes: prepared.pipes, exit });
}

/** Returns the exit code; never rejects. An OOM kill of the process is reported before its exit code. */
async function exitOf(
  pid: number,
  { containerId, execId }: ProcessRef,
  context: Pick<LaunchContext, 'reaper' | 'oom' | 'log'>,
): Promise<number> {
  try {
    const { code } = await context.reaper.watch(pid);
    context.oom.check(containerId);
    return code;
  } catch (error) {
    context.log('error', `the exit code of process ${pid} is lost: ${String(error)}`, {
      container: containerId,
      exec: execId,
    });
    return UNKNOWN_EXIT;
  }
}

export function killIfThere(pid: number, { syscalls }: Pick<LaunchContext, 'syscalls'>): void {
  try {
    syscalls.kill(pid, SIGKILL);
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}
