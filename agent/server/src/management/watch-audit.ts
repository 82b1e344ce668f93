import { followLines } from '@kata-agent/audit';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { AuditRecordsSchema, WatchAuditRequest } from '@kata-agent/protocol/management';
import { Code, type HandlerContext, TtrpcError } from '@kata-agent/ttrpc';
import type { Caller } from '../caller.js';
import type { ManagementContext } from './management-context.js';

/**
 * How long a watcher may take to accept records, and how long it may read segments that rotation has removed: until then
 * their space on the file system is not free.
 */
const patienceMs = 30_000;

type Records = MessageInitShape<typeof AuditRecordsSchema>;

type WatchContext = Pick<ManagementContext, 'configuration' | 'connections' | 'watchers' | 'log' | 'ending'>;

/**
 * Streams the lines of the audit log at the pace of the caller. A caller that accepts none for `patience` ms, or that is
 * still at removed segments after that time, loses its connection, and can resume from the sequence number after its last
 * record.
 *
 * @throws TtrpcError OUT_OF_RANGE if the sequence number is not a safe integer, RESOURCE_EXHAUSTED if the listener has
 * too many watchers, ABORTED if a newer watcher of the connection replaces this one, or another caller gets its place.
 */
export async function* watchAudit(
  { configuration, connections, watchers, log, ending }: WatchContext,
  { from }: Pick<WatchAuditRequest, 'from'>,
  { connection, signal }: Pick<HandlerContext<Caller>, 'connection' | 'signal'>,
  patience: number = patienceMs,
): AsyncGenerator<Records, void> {
  if (from !== undefined && from > BigInt(Number.MAX_SAFE_INTEGER))
    throw new TtrpcError(Code.OutOfRange, `from is ${from}: at most ${Number.MAX_SAFE_INTEGER}`);
  const dropLater = (why: string): NodeJS.Timeout =>
    setTimeout(() => {
      const { listener, peer } = connection;
      const message = `closed the connection of a watcher of the audit log that ${why}`;
      log('warn', message, { listener, peer, patienceMs: patience });
      connections.close(connection);
      release();
    }, patience);
  const replaced = new AbortController();
  let behind: NodeJS.Timeout | undefined;
  const lines = followLines(configuration.audit.file, {
    from: from === undefined ? 'end' : Number(from),
    signal: AbortSignal.any([signal, ending, replaced.signal]),
    onBehind: (now) => {
      clearTimeout(behind);
      behind = now ? dropLater('is too slow: it reads segments that rotation has removed') : undefined;
    },
  });
  /** This generator may never be resumed: releases the segments now. */
  const release = (): void =>
    void lines.return(undefined).catch((error: Error) => log('error', 'watcher', { error: error.message }));
  const leave = watchers.add(connection, (why) => {
    replaced.abort(why);
    release();
  });
  try {
    for await (const records of lines) {
      const drop = dropLater('accepts no records');
      try {
        yield { records: [...records] };
      } finally {
        clearTimeout(drop);
      }
    }
  } finally {
    clearTimeout(behind);
    leave();
  }
  if (replaced.signal.aborted)
    throw new TtrpcError(
      Code.Aborted,
      replaced.signal.reason === 'crowded'
        ? 'the slot of this watcher is given to another caller, which has fewer; resume after the last record'
        : 'a newer WatchAudit call on this connection replaces this one',
    );
}
