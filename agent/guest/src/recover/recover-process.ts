import { foreignExit } from '@kata-agent/linux';
import type { ProcessRef } from '../request/actions.js';
import { ContainerProcess } from '../container/container-process.js';
import type { GuestContext } from '../context/guest-context.js';
import { UNKNOWN_EXIT } from '../container/launch-process.js';
import type { SavedProcess } from '../state/saved-container.js';
import type { StreamOptions } from '../stdio/prepared-streams.js';
import { type OpenPipes, recoverStreams } from './recover-streams.js';

/**
 * Restores a process of an earlier agent: opens its pipes again, and waits for its exit though it is not a child of
 * this agent.
 */
export function recoverProcess(
  containerId: string,
  record: SavedProcess,
  open: OpenPipes,
  context: StreamOptions & Pick<GuestContext, 'oom' | 'log'>,
): ContainerProcess {
  const { execId, pid, startTime, pipes, waitedFor, signalled = false } = record;
  const ref = { containerId, execId: execId === '' ? containerId : execId };
  return new ContainerProcess({
    pid,
    startTime,
    pipes,
    waitedFor,
    signalled,
    streams: recoverStreams(ref, pipes, open, context),
    exit: exitOf(record, ref, context),
  });
}

/** Never rejects. An exit while no agent ran is reported as unknown, here and in the log. */
async function exitOf(
  { pid, startTime, exit }: SavedProcess,
  { containerId, execId }: ProcessRef,
  { syscalls, paths, oom, log }: Pick<GuestContext, 'syscalls' | 'paths' | 'oom' | 'log'>,
): Promise<number> {
  if (exit !== undefined) return exit;
  let reason = 'it ended while no agent was running';
  try {
    const status = await foreignExit(syscalls, { pid, startTime }, { proc: paths.proc });
    oom.check(containerId);
    if (status !== undefined) return status.code;
  } catch (error) {
    reason = String(error);
  }
  log('warn', `the exit code of process ${pid} is lost, and reported as ${UNKNOWN_EXIT}: ${reason}`, {
    container: containerId,
    exec: execId,
  });
  return UNKNOWN_EXIT;
}
