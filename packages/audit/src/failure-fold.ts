import type { Decision } from '@kata-agent/gate';
import type { AuditedCall, CallResult } from './audit-log.js';
import { RationedFold } from './rationed-fold.js';
import type { RecordBody } from './record.js';
import { foldedFailureHead } from './record-body.js';

/**
 * Counts calls that failed before they changed anything: same listener, peer, method, code and rule. What they named is not
 * told apart, for a caller can name what he likes.
 */
export class FailureFold {
  readonly #fold: RationedFold;

  constructor(emit: (body: RecordBody) => void, now: () => bigint) {
    const reason = 'failed in more ways than are recorded one by one';
    this.#fold = new RationedFold(emit, now, (listener) => ({
      of: 'call',
      listener,
      peer: '*',
      method: '*',
      decision: { outcome: 'allow', reason },
      code: '*',
    }));
  }

  get size(): number {
    return this.#fold.size;
  }

  /** True: it is counted. False: it begins a run, and is to be written. */
  count(call: AuditedCall, decision: Decision, result: CallResult): boolean {
    const like = `${result.code}\0${decision.rule ?? ''}`;
    return this.#fold.count(call, like, () => foldedFailureHead(call, decision, result), result);
  }

  /** Emits what was counted; ends the runs that were idle. */
  tick(): void {
    this.#fold.tick();
  }
}
