import type { Decision } from '@kata-agent/gate';
import type { AuditedCall } from '../audit-log.js';
import { RationedFold } from './rationed-fold.js';
import type { RecordBody } from '../record/record.js';
import { foldedRefusalHead } from '../record/record-body.js';

/** Counts identical denials: same listener, peer, method and rule. */
export class RefusalFold {
  readonly #fold: RationedFold;

  constructor(emit: (body: RecordBody) => void, now: () => bigint) {
    const reason = 'denied in more ways than are recorded individually';
    this.#fold = new RationedFold(emit, now, (listener) => ({
      of: 'refusal',
      listener,
      peer: '*',
      method: '*',
      decision: { outcome: 'deny', reason },
    }));
  }

  get size(): number {
    return this.#fold.size;
  }

  /** Returns true when the call was counted, false when it starts a run and the caller must write it. */
  count(call: AuditedCall, decision: Decision): boolean {
    return this.#fold.count(call, decision.rule ?? '', () => foldedRefusalHead(call, decision));
  }

  /** Emits the counts and ends idle runs. */
  tick(): void {
    this.#fold.tick();
  }
}
