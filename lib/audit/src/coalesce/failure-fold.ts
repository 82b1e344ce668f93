import type { Decision } from '@kata-agent/catalogue';
import type { AuditedCall, CallResult } from '../audit-log.js';
import { RationedFold } from './rationed-fold.js';
import type { RecordBody } from '../record/record.js';
import { foldedFailureHead } from '../record/record-body.js';

/**
 * Counts calls that failed before they changed anything: same listener, peer, method, code and rule. Their subjects are
 * not distinguished, because a peer can choose them freely.
 */
export class FailureFold {
  readonly #fold: RationedFold;

  constructor(emit: (body: RecordBody) => void, now: () => bigint) {
    const reason = 'failed in more ways than are recorded individually';
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

  /** Returns true when the call was counted, false when it starts a run and the caller must write it. */
  count(call: AuditedCall, decision: Decision, result: CallResult): boolean {
    const like = `${result.code}\0${decision.rule ?? ''}`;
    return this.#fold.count(call, like, () => foldedFailureHead(call, decision, result), result);
  }

  /** Emits the counts and ends idle runs. */
  tick(): void {
    this.#fold.tick();
  }
}
