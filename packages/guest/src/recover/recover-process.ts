import { foreignExit } from '@kata-agent/linux';
import type { ProcessRef } from '../actions.js';
import { ContainerProcess } from '../container/container-process.js';
import type { GuestContext } from '../container/guest-context.js';
import { UNKNOWN_EXIT } from '../container/launch-process.js';
import type { ProcessRecord } from '../state/container-record.js';
import { type OpenPipes, recoverStreams } from './recover-streams.js';

/** A process that an earlier agent had started: its pipes opened anew, its exit waited for though it is no child of ours. */
export function recoverProcess(
  containerId: string,
  record: ProcessRecord,
  open: OpenPipes,
  context: GuestContext,
): ContainerProcess {
  const { execId, pid, startTime, pipes, waitedFor } = record;
  const ref = { containerId, execId: execId === '' ? containerId : execId };
  return new ContainerProcess({
    pid,
    startTime,
    pipes,
    waitedFor,
    streams: recoverStreams(ref, pipes, open, context),
    exit: exitOf(record, ref, context),
  });
}

/** Never rejects. What fell into the time without an agent is told as unknown, here and in the log. */
async function exitOf(
  { pid, startTime, exit }: ProcessRecord,
  { containerId, execId }: ProcessRef,
  { syscalls, paths, oom, log }: GuestContext,
): Promise<number> {
  if (exit !== undefined) return exit;
  let reason = 'it ended while there was no agent';
  try {
    const status = await foreignExit(syscalls, { pid, startTime }, { proc: paths.proc });
    oom.check(containerId);
    if (status !== undefined) return status.code;
  } catch (error) {
    reason = String(error);
  }
  log('warn', `the exit code of process ${pid} is lost, and told as ${UNKNOWN_EXIT}: ${reason}`, {
    container: containerId,
    exec: execId,
  });
  return UNKNOWN_EXIT;
}
