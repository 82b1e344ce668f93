import type { AuditedCall, AuditLog } from '@kata-agent/audit';
import type { Caller } from '../listeners/caller.js';

/**
 * The record of whom a door was opened to, and until when. Calls are what the record is of, and a door has none: all that
 * it gives, it gives to the connection.
 */
export class Openings {
  readonly #audit: Pick<AuditLog, 'intent' | 'outcome'>;
  readonly #open: Set<() => void> = new Set();

  constructor(audit: Pick<AuditLog, 'intent' | 'outcome'>) {
    this.#audit = audit;
  }

  /**
   * Records that a door is about to be opened to somebody, and answers what records the end of it, once.
   *
   * @throws AuditUnavailable when it cannot be recorded: the door must stay closed then (S19).
   */
  async begin({ listener, peer }: Pick<Caller, 'listener' | 'peer'>, reason: string): Promise<() => void> {
    const method = '(connection)';
    const call: AuditedCall = { listener, peer, method, payload: new Uint8Array() };
    const intent = await this.#audit.intent(call, { outcome: 'allow', method, listener, reason });
    const begin = performance.now();
    const end = (): void => {
      if (!this.#open.delete(end)) return;
      const durationUs = Math.round((performance.now() - begin) * 1_000);
      this.#audit.outcome(intent, call, { code: 'OK', durationUs });
    };
    this.#open.add(end);
    return end;
  }

  /** Records the end of all that are open. */
  close(): void {
    for (const end of this.#open) end();
  }
}
