import type { AuditedCall, AuditLog } from '@kata-agent/audit';
import type { Duplex } from 'node:stream';
import type { RefusalCode } from '@kata-agent/catalogue/codes';
import type { Caller } from '../caller.js';

/**
 * Records peers of side channels, servers that the agent dials, and their operators, with the duration of each connection. The
 * audit log records calls, and a side channel has none: access to the connection is access to everything.
 */
export class ConnectionRecords {
  readonly #audit: Pick<AuditLog, 'intent' | 'outcome'>;
  readonly #open: Set<() => void> = new Set();
  /** Intents that are being written. */
  readonly #beginning: Set<Promise<number>> = new Set();
  #closed = false;

  constructor(audit: Pick<AuditLog, 'intent' | 'outcome'>) {
    this.#audit = audit;
  }

  /**
   * Records that a peer is about to get access, and returns a function that records the end, once.
   *
   * @throws AuditUnavailable if it cannot be recorded, and an Error after `close`: access must then be denied (S19).
   */
  async begin({ listener, peer }: Pick<Caller, 'listener' | 'peer'>, reason: string): Promise<() => void> {
    const method = '(connection)';
    const call: AuditedCall = { listener, peer, method, payload: new Uint8Array() };
    if (this.#closed) throw new Error('the agent ends');
    const writing = this.#audit.intent(call, { outcome: 'allow', method, listener, reason });
    this.#beginning.add(writing);
    let intent: number;
    try {
      intent = await writing;
    } finally {
      this.#beginning.delete(writing);
    }
    const begin = performance.now();
    const end = (): void => {
      if (!this.#open.delete(end)) return;
      const durationUs = Math.round((performance.now() - begin) * 1_000);
      this.#audit.outcome(intent, call, { code: 'OK', durationUs });
    };
    this.#open.add(end);
    return end;
  }

  /** Records the end of all open connections, also of those whose beginning is being recorded. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#beginning);
    for (const end of this.#open) end();
  }
}

/**
 * Records a connection until it closes.
 *
 * @throws AuditUnavailable if it cannot be recorded; the stream is then destroyed.
 */
export async function recordUntilClosed(
  records: Pick<ConnectionRecords, 'begin'>,
  stream: Duplex,
  caller: Pick<Caller, 'listener' | 'peer'>,
  reason: string,
): Promise<void> {
  // The connection may close while the record is written.
  const closed = new Promise<void>((resolve) => {
    if (stream.closed) resolve();
    else stream.once('close', () => resolve());
  });
  try {
    const ended = await records.begin(caller, reason);
    void closed.then(ended);
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/**
 * Records a connection that is closed before a call is read: the record names no method. Refusals with the same `reason`
 * are folded; detail that differs between them follows ': '.
 */
export function recordConnectionRefusal(
  audit: Pick<AuditLog, 'refuse'>,
  { listener, peer }: { readonly listener: string; readonly peer: string },
  code: RefusalCode,
  reason: string,
): void {
  const method = '(connection)';
  audit.refuse(
    { listener, peer, method, payload: new Uint8Array() },
    { outcome: 'deny', code, method, listener, reason },
  );
}

/** The open connections of an agent. */
export class Connections {
  readonly #streams = new Map<Caller, Duplex>();

  /** Adds a connection until it closes. */
  add(caller: Caller, stream: Duplex): void {
    this.#streams.set(caller, stream);
    stream.once('close', () => this.#streams.delete(caller));
  }

  /** Returns the number of connections of a listener. */
  count(listener: string): number {
    let count = 0;
    for (const caller of this.#streams.keys()) if (caller.listener === listener) count += 1;
    return count;
  }

  /** Closes a connection at once: its calls fail. */
  close(caller: Caller): void {
    this.#streams.get(caller)?.destroy();
  }
}
