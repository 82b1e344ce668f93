import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { operatorVerbs } from '@kata-agent/catalogue';
import type { Operator } from '../authorization/operator-rights.js';
import type { AnyGuest } from '../guest.js';
import type { CollectedLog, LogState } from '../store/log-storage.js';

const lineFeed = Buffer.from('\n');

/** A guest in answers to operators. */
export interface GuestJson {
  readonly name: string;
  readonly id: string;
  readonly attested: boolean;
  readonly relay: string;
  readonly version: string | null;
  readonly boot_id: string | null;
  readonly configuration_digest: string | null;
  /** RFC 3339. */
  readonly connected_at: string;
  readonly log: {
    readonly state: LogState;
    readonly records: number;
    readonly last: number;
    /** No record has come for three heartbeats. */
    readonly silent: boolean;
  } | null;
  /** What the asking operator may do with it. */
  readonly verbs: readonly string[];
}

export function guestJson(guest: AnyGuest, log: CollectedLog | undefined, operator: Operator): GuestJson {
  const { name, id, attested, relay, described, connectedAt } = guest;
  return {
    name,
    id,
    attested,
    relay,
    version: described?.version ?? null,
    boot_id: described?.bootId ?? null,
    configuration_digest: described?.configurationDigest ?? null,
    connected_at: new Date(connectedAt).toISOString(),
    log:
      log === undefined
        ? null
        : {
            state: log.state,
            records: log.records,
            last: log.lastSequence,
            silent: log.isSilent === true,
          },
    verbs: operatorVerbs.filter((verb) => operator.may(verb, guest)),
  };
}

/**
 * Writes records as lines, at the pace of the reader. Resolves when all are written or the reader is gone. A reader that
 * takes nothing for `stallMs` loses its connection, without the end of the answer, and can resume after its last record.
 * Rethrows errors of `records`.
 */
export async function streamLog(
  response: ServerResponse,
  records: (signal: AbortSignal) => AsyncIterable<readonly Uint8Array[]>,
  stallMs: number,
): Promise<void> {
  const over = new AbortController();
  const stop = (): void => over.abort();
  response.once('close', stop);
  try {
    for await (const lines of records(over.signal)) {
      if (over.signal.aborted) return;
      const bytes = Buffer.concat(lines.flatMap((line) => [line, lineFeed]));
      if (!response.write(bytes) && !(await drained(response, stallMs))) {
        response.destroy();
        return;
      }
    }
    if (!over.signal.aborted) response.end();
  } finally {
    response.off('close', stop);
  }
}

/** Resolves with whether the reader has taken what was written; false after `stallMs`, or when it is gone. */
function drained(response: ServerResponse, stallMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (result: boolean): void => {
      clearTimeout(timer);
      response.off('drain', onDrain).off('close', onClose);
      resolve(result);
    };
    const onDrain = (): void => settle(true);
    const onClose = (): void => settle(false);
    const timer = setTimeout(() => settle(false), stallMs);
    response.on('drain', onDrain).on('close', onClose);
    if (response.destroyed) settle(false);
  });
}

/** The operator left while its connection was being opened. */
export class OperatorLeft extends Error {
  override readonly name: string = 'OperatorLeft';
}

/**
 * Waits for a connection to a guest while the operator's end is watched: what it sends meanwhile is kept, to be read later.
 * A connection that arrives too late is destroyed. Rejects with OperatorLeft, with an Error after `openMs`, or as `opening`.
 */
export async function waitForGuest(
  operator: Duplex,
  opening: Promise<Duplex>,
  openMs: number,
): Promise<Duplex> {
  let late = false;
  opening.then(
    (guest) => {
      if (!late) return;
      guest.on('error', () => undefined);
      guest.destroy();
    },
    () => undefined,
  );
  let timer: NodeJS.Timeout | undefined;
  let leave: (error: Error) => void = () => undefined;
  const gone = new Promise<never>((_resolve, reject) => {
    leave = reject;
    timer = setTimeout(() => reject(new Error(`the guest did not connect within ${openMs} ms`)), openMs);
  });
  const onLeave = (): void => leave(new OperatorLeft());
  // Reads up to the buffer's size, so that an end is noticed. With bytes before it the end is passed on later.
  const onReadable = (): void => {
    if (operator.readableLength === 0) operator.read(0);
  };
  operator.on('readable', onReadable).on('end', onLeave).on('close', onLeave);
  if (operator.destroyed) onLeave();
  try {
    return await Promise.race([opening, gone]);
  } catch (error) {
    late = true;
    throw error;
  } finally {
    clearTimeout(timer);
    operator.off('readable', onReadable).off('end', onLeave).off('close', onLeave);
  }
}
