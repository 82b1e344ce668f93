import { type Rate, TokenBucket } from '@kata-agent/base';
import type { Decision } from '@kata-agent/catalogue';
import type { AuditedCall, CallResult } from '../audit-log.js';
import { clip } from '../record/written.js';
import type { RecordBody } from '../record/record.js';
import { foldedFailureHead, foldedRefusalHead, type FoldHead } from '../record/record-body.js';

/** Of detailed records. */
const rate: Rate = { burst: 256, perSecond: 1 };

/** Maximum number of peers, with the operators whom they claim, counted separately in one group. */
const maxPeers = 16;

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

/** Sums kept with the count, for calls that were served. */
interface Amounts {
  readonly bytes?: number | undefined;
  readonly durationUs: number;
}

interface Run {
  readonly head: FoldHead;
  count: number;
  since: bigint;
  bytes: number;
  durationUs: number;
}

/** Calls of one listener and method with the same result. */
interface Group {
  readonly peers: Map<string, Run>;
  /** The calls of the peers beyond `maxPeers`. */
  others: Run | undefined;
}

/**
 * Counts calls of one listener, peer and method with the same result. The caller of `count` writes the first call of a
 * run; the following ones become one record at each `tick`. A run that was idle for a whole tick ends.
 *
 * Peers and the names in their requests are arbitrary. So a detailed record costs a token, and a call without one is
 * counted with all others of its listener. Any flood at a listener costs at most 256 records and then one per second,
 * and memory for at most as many runs as there were tokens.
 */
export class RationedFold {
  readonly #groups = new Map<string, Group>();
  readonly #byListener = new Map<string, Run>();
  /** By listener, so that a flood at one leaves the calls on another recorded in detail. */
  readonly #tokens = new Map<string, TokenBucket>();
  readonly #emit: (body: RecordBody) => void;
  readonly #now: () => bigint;
  readonly #all: (listener: string) => FoldHead;

  /** `all`: the head of the record that counts calls without a token. */
  constructor(emit: (body: RecordBody) => void, now: () => bigint, all: (listener: string) => FoldHead) {
    this.#emit = emit;
    this.#now = now;
    this.#all = all;
  }

  /** The number of runs being counted. */
  get size(): number {
    let size = this.#byListener.size;
    for (const { peers, others } of this.#groups.values())
      size += peers.size + (others === undefined ? 0 : 1);
    return size;
  }

  /**
   * Returns true when the call was counted, false when it starts a run and the caller must write it. `like`: its
   * result, such as a rule or a code.
   */
  count(
    call: Pick<AuditedCall, 'listener' | 'peer' | 'claimedOperator' | 'method'>,
    like: string,
    head: () => FoldHead,
    amounts?: Amounts,
  ): boolean {
    const place = `${call.listener}\0${clip(call.method, 128)}\0${like}`;
    const peer = `${clip(call.peer, 128)}\0${clip(call.claimedOperator ?? '', 256)}`;
    const group = this.#groups.get(place);
    const run = group?.peers.get(peer);
    if (run !== undefined) return this.#add(run, 1, amounts);

    if (group !== undefined && group.peers.size >= maxPeers) {
      group.others ??= begin({ ...head(), peer: '*', claimedOperator: undefined });
      return this.#add(group.others, 1, amounts);
    }
    if (!this.#takeToken(call.listener)) {
      const known = this.#byListener.has(call.listener);
      const all = this.#ofListener(call.listener);
      return known ? this.#add(all, 1, amounts) : false;
    }
    if (group === undefined)
      this.#groups.set(place, { peers: new Map([[peer, begin(head())]]), others: undefined });
    else group.peers.set(peer, begin(head()));
    return false;
  }

  /** Emits the counts and ends idle runs. */
  tick(): void {
    for (const [place, group] of this.#groups) {
      for (const [peer, run] of group.peers) {
        if (!this.#settle(run)) group.peers.delete(peer);
      }
      if (group.others !== undefined && !this.#settle(group.others)) group.others = undefined;
      if (group.peers.size === 0 && group.others === undefined) this.#groups.delete(place);
    }
    for (const [listener, run] of this.#byListener) {
      if (run.count === 0) this.#byListener.delete(listener);
      else this.#write(run);
    }
  }

  /** Returns false when the run ends. */
  #settle(run: Run): boolean {
    if (run.count === 0) return false;
    if (this.#takeToken(run.head.listener)) {
      this.#write(run);
      return true;
    }
    this.#add(this.#ofListener(run.head.listener), run.count, run);
    return false;
  }

  #takeToken(listener: string): boolean {
    const now = Number(this.#now()) / 1e6;
    const tokens = this.#tokens.get(listener) ?? new TokenBucket(rate, now);
    this.#tokens.set(listener, tokens);
    return tokens.take(now);
  }

  #ofListener(listener: string): Run {
    const run = this.#byListener.get(listener) ?? begin(this.#all(listener));
    this.#byListener.set(listener, run);
    return run;
  }

  #add(run: Run, count: number, amounts: Amounts | undefined): true {
    if (run.count === 0) run.since = this.#now();
    run.count += count;
    run.bytes += amounts?.bytes ?? 0;
    run.durationUs += amounts?.durationUs ?? 0;
    return true;
  }

  #write(run: Run): void {
    const { head, count, bytes, durationUs } = run;
    const sums = head.of === 'call' ? { bytes, durationUs } : {};
    this.#emit({ kind: 'fold', ...head, since: Number(run.since), count, ...sums });
    run.count = 0;
    run.bytes = 0;
    run.durationUs = 0;
  }
}

function begin(head: FoldHead): Run {
  return { head, count: 0, since: 0n, bytes: 0, durationUs: 0 };
}

/** The method of records about a connection that was closed before a call was read. */
const connectionMethod = '(connection)';
