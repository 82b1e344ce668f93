import { join } from 'node:path';
import type { ProcessRef, StreamName } from '../actions.js';
import { OutputLog } from './output-log.js';
import type { Overflow } from './output-stream.js';
import type { StreamOptions } from './prepared-streams.js';

/** What becomes of a stream's output when the buffer is full (R15). A log that is made for it is added to `logs`. */
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
