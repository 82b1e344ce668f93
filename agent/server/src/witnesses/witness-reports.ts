import { onDoublings } from '@kata-agent/base';
import type { AuditLog } from '@kata-agent/audit';
import { allow } from '@kata-agent/gate';
import type { Log } from '../log.js';
import type { WitnessFailure } from './decide-answer.js';

/** The method of records about what a witness has answered. */
const method = '(witness)';

/** Logs and records the failures of a witness. */
export class WitnessReports {
  readonly #witness: string;
  readonly #listener: string;
  readonly #audit: Pick<AuditLog, 'observe'>;
  readonly #log: Log;
  readonly #recorded = new Set<WitnessFailure>();
  #report: ((failure: WitnessFailure, why: string) => void) | undefined;

  /** @param listener the listener that the witness is asked by, or the place of witnesses without one. */
  constructor(
    { witness, listener }: { readonly witness: string; readonly listener: string },
    audit: Pick<AuditLog, 'observe'>,
    log: Log,
  ) {
    this.#witness = witness;
    this.#listener = listener;
    this.#audit = audit;
    this.#log = log;
  }

  /** Reports that the witness has not cosigned. A fork, or a tree that is lost, is recorded once until it cosigns again. */
  failed(failure: WitnessFailure, why: string): void {
    this.#report ??= this.#reporter();
    this.#report(failure, why);
    if (failure === 'failed' || this.#recorded.has(failure)) return;
    this.#recorded.add(failure);
    this.#audit.observe(
      { listener: this.#listener, peer: `witness ${this.#witness}`, method, payload: new Uint8Array() },
      allow(this.#listener, method, 'a witness of the configuration'),
      { code: 'DATA_LOSS', message: why, durationUs: 0 },
    );
  }

  cosigned(): void {
    if (this.#report !== undefined) this.#log('info', 'witness cosigns again', { witness: this.#witness });
    this.#report = undefined;
    this.#recorded.clear();
  }

  /** Returns a function that logs the first failure, and then each doubling; a fork first of all. */
  #reporter(): (failure: WitnessFailure, why: string) => void {
    let last: { readonly failure: WitnessFailure; readonly why: string } | undefined;
    const report = onDoublings((times) => this.#say(last?.failure ?? 'failed', last?.why ?? '', times));
    return (failure, why) => {
      const isNew = failure !== 'failed' && failure !== last?.failure;
      last = { failure, why };
      if (isNew) this.#say(failure, why, 1);
      else report();
    };
  }

  #say(failure: WitnessFailure, why: string, times: number): void {
    const level = failure === 'failed' ? 'warn' : 'error';
    this.#log(level, 'witness did not cosign', { witness: this.#witness, why, times });
  }
}
