import { hasCode, processStat } from '@kata-agent/linux';
import type { ProcessRef } from '../actions.js';
import type { Stdio } from '../runtime/runtime.js';
import { preparePipes } from '../stdio/prepare-pipes.js';
import { prepareTerminal } from '../stdio/prepare-terminal.js';
import type { ProcessStreams } from '../stdio/process-streams.js';
import { ContainerProcess } from './container-process.js';
import type { GuestContext } from './guest-context.js';

const SIGKILL = 9;

/** The exit code of a process whose end we cannot learn; Kata's runtime-rs says the same for a failed wait. */
export const UNKNOWN_EXIT = 255;

/**
 * Makes the streams, has the runtime launch a process with the other ends of them, and takes the process over. When
 * any of it fails no stream is open and no process is left.
 */
export async function launchProcess(
  ref: ProcessRef,
  terminal: boolean,
  launch: (stdio: Stdio) => Promise<number>,
  context: GuestContext,
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

/** Never rejects. A process that the kernel killed for want of memory is noticed before its exit is told. */
async function exitOf(
  pid: number,
  { containerId, execId }: ProcessRef,
  context: GuestContext,
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

export function killIfThere(pid: number, { syscalls }: GuestContext): void {
  try {
    syscalls.kill(pid, SIGKILL);
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}
