import type { Decision } from '@kata-agent/gate';
import type { AuditedCall, CallResult } from './audit-log.js';
import type { RecordBody } from './record.js';
import { type FoldHead, foldedCallHead } from './record-body.js';

/** The runs of calls that are counted at a time; the oldest makes room for a new one. */
const maxRuns = 1024;

interface Run {
  readonly head: FoldHead;
  // As the caller gave them, to be compared by reference first.
  readonly listener: string;
  readonly peer: string;
  readonly code: string;
  readonly rule: string | undefined;
  count: number;
  bytes: number;
  durationUs: number;
  since: bigint;
}

/**
 * Counts identical calls: same fold key, listener, peer, code and rule. The first of a run is written by the caller of
 * `count`; what follows is one record at each `tick`. A run that was idle for a whole tick ends.
 */
export class CallFold {
  readonly #runs = new Map<string, Run>();
  readonly #emit: (body: RecordBody) => void;
  readonly #now: () => bigint;

  constructor(emit: (body: RecordBody) => void, now: () => bigint) {
    this.#emit = emit;
    this.#now = now;
  }

  get size(): number {
    return this.#runs.size;
  }

  /** True: it is counted. False: it begins a run, and is to be written. */
  count(key: string, call: AuditedCall, decision: Decision, result: CallResult): boolean {
    // The way of each read of a stream: one look-up, no digest, no text is built.
    const run = this.#runs.get(key);
    if (run !== undefined && matches(run, call, decision, result)) {
      this.#add(run, result);
      return true;
    }
    const { rule } = decision;
    const place =
      run === undefined ? key : JSON.stringify([key, call.listener, call.peer, result.code, rule ?? '']);
    const other = this.#runs.get(place);
    if (other !== undefined) {
      this.#add(other, result);
      return true;
    }
    if (this.#runs.size >= maxRuns) this.#evictOldest();
    const head = foldedCallHead(call, decision, result);
    const { listener, peer } = call;
    const { code } = result;
    this.#runs.set(place, { head, listener, peer, code, rule, count: 0, bytes: 0, durationUs: 0, since: 0n });
    return false;
  }

  /** Emits what was counted; ends the runs that were idle. */
  tick(): void {
    for (const [place, run] of this.#runs) {
      if (run.count === 0) this.#runs.delete(place);
      else this.#write(run);
    }
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
      this.#runs.delete(place);
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

function matches(run: Run, call: AuditedCall, { rule }: Decision, { code }: CallResult): boolean {
  return run.code === code && run.rule === rule && run.peer === call.peer && run.listener === call.listener;
}
