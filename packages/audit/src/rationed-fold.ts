import { clip } from './clip.js';
import type { RecordBody } from './record.js';
import type { FoldHead } from './record-body.js';
import { TokenBucket } from './token-bucket.js';

/** Records in detail: so many at once, then so many a second. */
const burst = 256;
const perSecond = 1;
/** Peers that are told apart in one group. */
const maxPeers = 16;

/** What is summed beside the count, of calls that were served. */
export interface Amounts {
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

/** Calls of one listener and method that ended alike. */
interface Group {
  readonly peers: Map<string, Run>;
  /** Those of more peers than are told apart. */
  others: Run | undefined;
}

/**
 * Counts calls of one listener, peer and method that ended alike. The first of a run is written by the caller of `count`;
 * what follows is one record at each `tick`. A run that was idle for a whole tick ends.
 *
 * Peers come and go as they like, and what a call names is whatever its frame holds. So a record in detail costs a
 * token, and what has none is counted with all of its listener. However a flood varies, it is worth 256 records and then
 * one a second, and no more runs are kept than there were tokens.
 */
export class RationedFold {
  readonly #groups = new Map<string, Group>();
  readonly #byListener = new Map<string, Run>();
  readonly #tokens: TokenBucket;
  readonly #emit: (body: RecordBody) => void;
  readonly #now: () => bigint;
  readonly #all: (listener: string) => FoldHead;

  /** `all`: the head of what is counted for want of tokens. */
  constructor(emit: (body: RecordBody) => void, now: () => bigint, all: (listener: string) => FoldHead) {
    this.#emit = emit;
    this.#now = now;
    this.#all = all;
    this.#tokens = new TokenBucket(burst, perSecond, now());
  }

  /** Runs that are being counted. */
  get size(): number {
    let size = this.#byListener.size;
    for (const { peers, others } of this.#groups.values())
      size += peers.size + (others === undefined ? 0 : 1);
    return size;
  }

  /**
   * True: it is counted. False: it begins a run, and is to be written. `like` is how it ended: a rule, a code.
   */
  count(
    call: { readonly listener: string; readonly peer: string; readonly method: string },
    like: string,
    head: () => FoldHead,
    amounts?: Amounts,
  ): boolean {
    const place = `${call.listener}\0${clip(call.method, 128)}\0${like}`;
    const peer = clip(call.peer, 128);
    const group = this.#groups.get(place);
    const run = group?.peers.get(peer);
    if (run !== undefined) return this.#add(run, 1, amounts);

    if (group !== undefined && group.peers.size >= maxPeers) {
      group.others ??= begin({ ...head(), peer: '*' });
      return this.#add(group.others, 1, amounts);
    }
    if (!this.#tokens.take(this.#now())) {
      const known = this.#byListener.has(call.listener);
      const all = this.#ofListener(call.listener);
      return known ? this.#add(all, 1, amounts) : false;
    }
    if (group === undefined)
      this.#groups.set(place, { peers: new Map([[peer, begin(head())]]), others: undefined });
    else group.peers.set(peer, begin(head()));
    return false;
  }

  /** Emits what was counted; ends the runs that were idle. */
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

  /** False: the run ends. */
  #settle(run: Run): boolean {
    if (run.count === 0) return false;
    if (this.#tokens.take(this.#now())) {
      this.#write(run);
      return true;
    }
    this.#add(this.#ofListener(run.head.listener), run.count, run);
    return false;
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
