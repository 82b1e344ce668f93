import type { Decision } from '@kata-agent/catalogue';
import type { AuditedCall, CallResult } from '../audit-log.js';
import type { RecordBody } from '../record/record.js';
import { type FoldHead, foldedCallHead, foldedRepeatHead } from '../record/record-body.js';

/** Maximum number of runs counted at a time; the oldest is evicted for a new one. */
const maxRuns = 1024;

/** Maximum number of operators whom a peer claims, counted separately of one key: a server can name any. */
const maxOperators = 16;

interface Run {
  readonly key: string;
  readonly head: FoldHead;
  // As given by the caller, so that comparison by reference usually succeeds.
  readonly listener: string;
  readonly peer: string;
  readonly claimedOperator: string | undefined;
  readonly code: string;
  readonly rule: string | undefined;
  count: number;
  bytes: number;
  durationUs: number;
  since: bigint;
}

/**
 * Counts identical calls: same fold key, listener, peer, claimed operator, code and rule. The caller of `count` writes the first call of
 * a run; the following ones become one record at each `tick`. A run that was idle for a whole tick ends. Calls of one key for
 * more operators than a few are counted together: a server could otherwise have each call written by naming another one.
 */
export class CallFold {
  readonly #runs = new Map<string, Run>();
  /** How many runs of a key have a claimed operator. */
  readonly #operators = new Map<string, number>();
  readonly #emit: (body: RecordBody) => void;
  readonly #now: () => bigint;

  constructor(emit: (body: RecordBody) => void, now: () => bigint) {
    this.#emit = emit;
    this.#now = now;
  }

  get size(): number {
    return this.#runs.size;
  }

  /** Reports whether a call with this result would be counted. */
  has(key: string, call: AuditedCall, decision: Decision, result: CallResult): boolean {
    return this.#find(key, call, decision, result) !== undefined;
  }

  /**
   * Returns true when the call was counted, false when it starts a run and the caller must write it. `digest`
   * returns that of the requests, when they are all equal.
   */
  count(
    key: string,
    call: AuditedCall,
    decision: Decision,
    result: CallResult,
    digest?: () => string,
  ): boolean {
    // The hot path of stream reads: one map lookup, no digest, no string concatenation.
    const run = this.#find(key, call, decision, result);
    if (run !== undefined) {
      this.#add(run, result);
      return true;
    }
    if (call.claimedOperator !== undefined && (this.#operators.get(key) ?? 0) >= maxOperators) {
      this.#countAmongOthers(key, call, decision, result, digest);
      return true;
    }
    this.#begin(key, call, decision, result, digest);
    return false;
  }

  /** Counts a call together with those of all further operators. */
  #countAmongOthers(
    key: string,
    call: AuditedCall,
    decision: Decision,
    result: CallResult,
    digest: (() => string) | undefined,
  ): void {
    const others = { ...call, peer: '*', claimedOperator: undefined };
    const run = this.#find(key, others, decision, result);
    this.#add(run ?? this.#begin(key, others, decision, result, digest), result);
  }

  #begin(
    key: string,
    call: AuditedCall,
    decision: Decision,
    result: CallResult,
    digest: (() => string) | undefined,
  ): Run {
    if (this.#runs.size >= maxRuns) this.#evictOldest();
    const head =
      digest === undefined
        ? foldedCallHead(call, decision, result)
        : foldedRepeatHead(call, decision, digest, result);
    const { listener, peer, claimedOperator } = call;
    const { code } = result;
    const { rule } = decision;
    const place = this.#runs.has(key) ? placeOf(key, call, decision, result) : key;
    const caller = { listener, peer, claimedOperator };
    const run = { key, head, ...caller, code, rule, count: 0, bytes: 0, durationUs: 0, since: 0n };
    this.#runs.set(place, run);
    if (claimedOperator !== undefined) this.#operators.set(key, (this.#operators.get(key) ?? 0) + 1);
    return run;
  }

  #end(place: string, { key, claimedOperator }: Run): void {
    this.#runs.delete(place);
    if (claimedOperator === undefined) return;
    const left = (this.#operators.get(key) ?? 1) - 1;
    if (left === 0) this.#operators.delete(key);
    else this.#operators.set(key, left);
  }

  /** Emits the counts and ends idle runs. */
  tick(): void {
    for (const [place, run] of this.#runs) {
      if (run.count === 0) this.#end(place, run);
      else this.#write(run);
    }
  }

  #find(key: string, call: AuditedCall, decision: Decision, result: CallResult): Run | undefined {
    const run = this.#runs.get(key);
    if (run === undefined || matches(run, call, decision, result)) return run;
    return this.#runs.get(placeOf(key, call, decision, result));
  }

  #add(run: Run, result: CallResult): void {
    if (run.count === 0) run.since = this.#now();
    run.count += 1;
    run.bytes += result.bytes ?? 0;
    run.durationUs += result.durationUs;
  }

  #evictOldest(): void {
    for (const [place, run] of this.#runs) {
      if (run.count > 0) this.#write(run);
      this.#end(place, run);
      return;
    }
  }

  #write(run: Run): void {
    const { head, count, bytes, durationUs } = run;
    const body: RecordBody = {
      kind: 'fold',
      ...head,
      since: Number(run.since),
      count,
      bytes,
      durationUs,
    };
    run.count = 0;
    run.bytes = 0;
    run.durationUs = 0;
    this.#emit(body);
  }
}

/** Returns the map key of a run whose fold key is taken by a run with another listener, peer, operator, code or rule. */
function placeOf(key: string, call: AuditedCall, { rule }: Decision, { code }: CallResult): string {
  return JSON.stringify([key, call.listener, call.peer, call.claimedOperator ?? '', code, rule ?? '']);
}

function matches(run: Run, call: AuditedCall, { rule }: Decision, { code }: CallResult): boolean {
  return (
    run.code === code &&
    run.rule === rule &&
    run.peer === call.peer &&
    run.claimedOperator === call.claimedOperator &&
    run.listener === call.listener
  );
}
