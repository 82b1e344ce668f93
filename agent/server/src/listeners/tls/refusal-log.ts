import { onDoublings } from '@kata-agent/base';
import type { Log } from '../../log.js';
import type { TlsRefusalReason } from './tls-refusal.js';

/**
 * Logs why TLS connections were closed before they were served, as the audit log has it: the first of each reason, and then each doubling.
 * A flood for one reason hides no other.
 */
export class RefusalLog {
  readonly #listener: string;
  readonly #log: Log;
  readonly #reports = new Map<TlsRefusalReason, (why: string, peer: string) => void>();

  constructor(listener: string, log: Log) {
    this.#listener = listener;
    this.#log = log;
  }

  /** `why`: the text of the reason, without what the client chose. */
  add(reason: TlsRefusalReason, why: string, peer: string): void {
    const report = this.#reports.get(reason) ?? this.#reporter(reason);
    this.#reports.set(reason, report);
    report(why, peer);
  }

  #reporter(reason: TlsRefusalReason): (why: string, peer: string) => void {
    let last = '';
    const report = onDoublings<string>((times, peer) =>
      this.#log('warn', 'closed a TLS connection before it was served', {
        code: 'KA3203',
        listener: this.#listener,
        reason,
        why: last,
        peer,
        times,
      }),
    );
    return (why, peer) => {
      last = why;
      report(peer);
    };
  }
}
