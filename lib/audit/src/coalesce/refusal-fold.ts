import type { Decision } from '@kata-agent/catalogue';
import type { AuditedCall } from '../audit-log.js';
import { RationedFold } from './rationed-fold.js';
import type { RecordBody } from '../record/record.js';
import { foldedRefusalHead } from '../record/record-body.js';

/** The method of records about a connection that was closed before a call was read. */
const connectionMethod = '(connection)';

/** Counts identical denials: same listener, peer, claimed operator, method and rule; for connections, same listener, peer, code and reason. */
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
    if (call.method !== connectionMethod)
      return this.#fold.count(call, decision.rule ?? '', () => foldedRefusalHead(call, decision));
    const reason = withoutDetail(decision.reason);
    const like = `${decision.code ?? ''}\0${reason}`;
    return this.#fold.count(call, like, () => foldedRefusalHead(call, { ...decision, reason }));
  }

  /** Emits the counts and ends idle runs. */
  tick(): void {
    this.#fold.tick();
  }
}

/**
 * Returns the reason without what follows its first colon: that can be text of the peer, of which there is no end, while
 * reasons are few.
 */
function withoutDetail(reason: string): string {
  const [head = reason] = reason.split(': ', 1);
  return head;
}
