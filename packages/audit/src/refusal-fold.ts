import type { Decision } from '@kata-agent/gate';
import type { AuditedCall } from './audit-log.js';
import { RationedFold } from './rationed-fold.js';
import type { RecordBody } from './record.js';
import { foldedRefusalHead } from './record-body.js';

/** Counts identical refusals: same listener, peer, method and rule. */
export class RefusalFold {
  readonly #fold: RationedFold;

  constructor(emit: (body: RecordBody) => void, now: () => bigint) {
    const reason = 'refused in more ways than are recorded one by one';
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

  /** True: it is counted. False: it begins a run, and is to be written. */
  count(call: AuditedCall, decision: Decision): boolean {
    return this.#fold.count(call, decision.rule ?? '', () => foldedRefusalHead(call, decision));
  }

  /** Emits what was counted; ends the runs that were idle. */
  tick(): void {
    this.#fold.tick();
  }
}
