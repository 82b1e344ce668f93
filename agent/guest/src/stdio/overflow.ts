import { join } from 'node:path';
import type { ProcessRef, StreamName } from '../request/actions.js';
import { OutputLog } from './output-log.js';
import type { Overflow } from './output-stream.js';
import type { StreamOptions } from './prepared-streams.js';

/** Returns the policy for a stream whose buffer is full (R15). Adds a created log to `logs`. */
export function overflow(
  { containerId, execId }: ProcessRef,
  stream: StreamName,
  { output, paths }: StreamOptions,
  logs: OutputLog[],
): Overflow {
  const drained = (): boolean => !output.readable({ containerId, execId, stream });
  if (output.unreadable === 'discard') return { drained, take: () => undefined };
  const file = join(paths.state, 'output', `${containerId}-${execId}.${stream}`);
  const log = new OutputLog(file, output.unreadable.bytes);
  logs.push(log);
  return { drained, take: (data) => log.append(data) };
}
