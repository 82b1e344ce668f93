import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { Management } from '@kata-agent/protocol/management';
import { type Channel, Code, createClient, TtrpcError } from '@kata-agent/ttrpc';
import type { GuestLogs } from './guest-logs.js';

/** Where records are collected: the logs of a guest. */
export type CollectTarget = Pick<
  GuestLogs,
  'begin' | 'isFull' | 'awaitsOverlap' | 'noteWithheld' | 'expectOtherLog' | 'take' | 'trouble'
>;

export interface CollectOptions {
  /** Bytes per second of one guest, on average. */
  readonly bytesPerSecond: number;
  /** How long the first record may take to arrive again. */
  readonly overlapMs: number;
  /** Bytes that are read while others are in work; absent: none. */
  readonly aheadBytes?: number;
  /** How long to wait after a failure. */
  readonly retryMs: number;
  /** Aborts when the collector is to end: what is on its way then may not be stored any more, and is asked for again by the next one. */
  readonly ending?: AbortSignal;
  /** Is called when the store cannot be used. */
  readonly onFailure: (error: Error) => void;
}

/** A guest that changes between logs is not followed forever. */
const maxLogsInTurn = 4;

/** Sends records from a sequence number on, and continues with new ones until the signal aborts. */
export type WatchRecords = (
  from: number,
  signal: AbortSignal,
) => AsyncIterable<{ readonly records: readonly Uint8Array[] }>;

/**
 * Collects the audit log of a guest until its connection closes or its log is broken: from the record that the store has
 * last. At most one message of the guest is in work, or those that were read ahead; others wait in its connection, which is not
 * read meanwhile.
 */
export async function collect(
  channel: Channel,
  logs: CollectTarget,
  options: CollectOptions,
  signal: AbortSignal,
): Promise<void> {
  const management = createClient(Management, channel);
  const records: WatchRecords = (from, both) =>
    management.watchAudit({ from: BigInt(from) }, { signal: both });
  await collectFrom(records, logs, options, signal);
}

/** The same from another source of records, until the signal aborts or the log is broken. */
export async function collectFrom(
  source: WatchRecords,
  logs: CollectTarget,
  options: CollectOptions,
  signal: AbortSignal,
): Promise<void> {
  for (let turns = 0; turns < maxLogsInTurn && !signal.aborted; ) {
    try {
      const next = await watch(source, logs, options, signal);
      if (next === 'stop') return;
      turns += 1;
    } catch (error) {
      if (signal.aborted || options.ending?.aborted === true) return;
      if (error instanceof TtrpcError && isFinal(error.code)) {
        logs.trouble = 'not-served';
        return;
      }
      // Of the guest: it has closed the stream, or another call of WatchAudit in its connection has replaced this one.
      if (!(error instanceof TtrpcError)) {
        logs.trouble = 'failed';
        options.onFailure(error as Error);
      }
      await sleep(options.retryMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}

function isFinal(code: number): boolean {
  return code === Code.Unimplemented || code === Code.PermissionDenied;
}

async function watch(
  source: WatchRecords,
  logs: CollectTarget,
  { bytesPerSecond, overlapMs, aheadBytes = 0 }: CollectOptions,
  signal: AbortSignal,
): Promise<'again' | 'stop'> {
  const from = await logs.begin();
  if (logs.isFull) return 'stop';
  const other = new AbortController();
  const withheld = setTimeout(() => {
    if (!logs.awaitsOverlap || signal.aborted) return;
    void logs.noteWithheld().then(
      () => other.abort(),
      () => undefined,
    );
  }, overlapMs);
  let due = performance.now();
  try {
    const left = new AbortController();
    const messages = source(from, AbortSignal.any([signal, other.signal, left.signal]));
    const ahead = (): AsyncIterable<readonly Uint8Array[]> =>
      readAhead(messages, aheadBytes, () => left.abort());
    for await (const records of aheadBytes > 0 ? ahead() : linesOf(messages)) {
      const next = await logs.take(records);
      if (next !== 'more') return next;
      const bytes = records.reduce((sum, record) => sum + record.length + 1, 0);
      // A second's bytes may come at once.
      due = Math.max(due, performance.now() - 1_000) + (bytes / bytesPerSecond) * 1_000;
      const early = due - performance.now();
      if (early > 0) await sleep(early, undefined, { signal, ref: false });
      else await nextTurn();
    }
  } catch (error) {
    if (!other.signal.aborted || signal.aborted || !logs.awaitsOverlap) throw error;
    await logs.expectOtherLog();
    return 'again';
  } finally {
    clearTimeout(withheld);
  }
  throw new TtrpcError(Code.Unavailable, 'the guest has ended WatchAudit');
}

async function* linesOf(
  messages: AsyncIterable<{ readonly records: readonly Uint8Array[] }>,
): AsyncGenerator<readonly Uint8Array[], void> {
  for await (const { records } of messages) yield records;
}

interface Lines {
  readonly records: readonly Uint8Array[];
}

/**
 * Reads messages while the last ones are in work, until they have `most` bytes, and yields the lines of all that have come
 * meanwhile together: what takes a time for each write or request takes it once for them. Ends or throws as the messages do, after
 * the lines before that.
 *
 * @param cancel Makes a message that is waited for fail: nobody reads on.
 */
export async function* readAhead(
  messages: AsyncIterable<Lines>,
  max: number,
  cancel: () => void,
): AsyncGenerator<readonly Uint8Array[], void> {
  let lines: Uint8Array[] = [];
  let bytes = 0;
  let end: { readonly error?: unknown } | undefined;
  let wake: () => void = () => undefined;
  let drained: () => void = () => undefined;
  const iterator = messages[Symbol.asyncIterator]();
  const stopped = new AbortController();
  const read = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      const { value, done } = await iterator.next();
      if (done === true) break;
      lines.push(...value.records);
      bytes += value.records.reduce((sum, { length }) => sum + length + 1, 0);
      wake();
      if (bytes >= max)
        await new Promise<void>((resolve) => {
          drained = resolve;
        });
    }
  };
  const reading = read().then(
    () => {
      end = {};
    },
    (error: unknown) => {
      end = { error };
    },
  );
  void reading.then(() => wake());
  try {
    for (;;) {
      if (lines.length > 0) {
        const taken = lines;
        [lines, bytes] = [[], 0];
        drained();
        yield taken;
      } else if (end !== undefined) {
        if ('error' in end) throw end.error;
        return;
      } else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    stopped.abort();
    drained();
    // The next message may never come.
    cancel();
    await iterator.return?.();
    await reading;
  }
}
