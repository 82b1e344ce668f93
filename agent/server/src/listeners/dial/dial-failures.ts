import { onDoublings } from '@kata-agent/base';
import type { AuditLog } from '@kata-agent/audit';
import { type Certificate, formatPin } from '@kata-agent/x509';
import type { Log } from '../../log.js';
import { recordConnectionRefusal } from '../connections.js';
import type { DialFailure } from './dial-failure.js';

/** The server of a listener. */
interface Dialled {
  /** The listener. */
  readonly name: string;
  readonly address: string;
  readonly host: string;
}

/** Logs and records attempts that gave no connection. */
export class DialFailures {
  readonly #dialled: Dialled;
  readonly #audit: Pick<AuditLog, 'refuse'>;
  readonly #log: Log;
  #report: (failure: DialFailure) => void;

  constructor(dialled: Dialled, audit: Pick<AuditLog, 'refuse'>, log: Log) {
    this.#dialled = dialled;
    this.#audit = audit;
    this.#log = log;
    this.#report = this.#reporter();
  }

  /** Reports a failure. A server that was reached and is not accepted is a decision, which is recorded. */
  add(failure: DialFailure): void {
    this.#report(failure);
    if (!failure.refused) return;
    const { name, host } = this.#dialled;
    const peer = serverText(host, failure.certificate);
    recordConnectionRefusal(this.#audit, { listener: name, peer }, 'KA3204', failure.message);
  }

  /** Begins to count again, after an attempt that succeeded. */
  reset(): void {
    this.#report = this.#reporter();
  }

  /** Returns a function that logs the first failure, and then each doubling. */
  #reporter(): (failure: DialFailure) => void {
    const { name, address } = this.#dialled;
    let last: DialFailure | undefined;
    const report = onDoublings((times) =>
      this.#log('warn', last?.refused === true ? 'server not accepted' : 'server not reached', {
        ...(last?.refused === true ? { code: 'KA3204' } : {}),
        listener: name,
        address,
        why: last?.message,
        times,
      }),
    );
    return (failure) => {
      last = failure;
      report();
    };
  }
}

/** The server in records. Its key is named only if it was verified. */
export function serverText(host: string, certificate: Certificate | undefined): string {
  return certificate === undefined ? `https ${host}` : `https ${host} ${formatPin(certificate.spki)}`;
}
