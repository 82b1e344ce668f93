import { type AuditLog, CannotProve, type TreeFollower, type TreeStep } from '@kata-agent/audit';
import { onDoublings } from '@kata-agent/base';
import { allow } from '@kata-agent/gate';
import {
  type Checkpoint,
  type ConsistencyProof,
  formatAddCheckpoint,
  formatCheckpoint,
  type LogVerifier,
  openCheckpoint,
  type WitnessVerifier,
} from '@kata-agent/tlog';
import type { Log } from '../log.js';
import { type Attempt, decideAnswer, type WitnessAnswer, type WitnessFailure } from './decide-answer.js';

/** The method of records about what a witness has answered. */
const method = '(witness)';

/** What a witness tells cannot make the agent read its log more often. */
const proveEveryMs = 60_000;

export interface WitnessClientOptions {
  readonly verifier: WitnessVerifier;
  readonly logKey: LogVerifier;
  readonly follower: TreeFollower;
  /** The interval of checkpoints. */
  readonly everyMs: number;
  /** The wait after a failure is at most this, beside the interval. */
  readonly longestWindowMs: number;
  /** Sends the body of a request, with a deadline. */
  readonly post: (body: string) => Promise<WitnessAnswer>;
  /** As `AuditLog.proveSince`. */
  readonly prove: (from: number, signed: TreeStep['signed']) => Promise<ConsistencyProof>;
  readonly onCosigned: (checkpoint: Checkpoint) => void;
  readonly reports: Pick<WitnessReports, 'failed' | 'cosigned'>;
  /** Waits, or until the client is woken at its end. */
  readonly wait?: (milliseconds: number) => Promise<void>;
  readonly random?: () => number;
  /** A monotonic clock in ms. */
  readonly now?: () => number;
}

/**
 * Asks a witness to cosign the tree of each round that it can follow. There is one request at a time. A checkpoint that was sent
 * and not answered is sent again until it is: only so the witness is never at a size that is unknown here.
 */
export class WitnessClient {
  readonly #options: WitnessClientOptions;
  /** Sent, and not yet cosigned as far as is known. */
  #step: TreeStep | undefined;
  #failures = 0;
  #running: Promise<void> | undefined;
  #isEnded = false;
  #provedAt = Number.NEGATIVE_INFINITY;
  #endWait: () => void = () => undefined;

  constructor(options: WitnessClientOptions) {
    this.#options = options;
  }

  /** Called after a round: asks the witness, unless it is asked already or waits after a failure. */
  wake(): void {
    if (this.#isEnded) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves when the witness has cosigned the tree of the last round, or has failed to. */
  async settled(): Promise<void> {
    const failures = this.#failures;
    // A wait after a failure is cut short: there is no later time.
    this.#endWait();
    while (this.#running !== undefined && this.#failures <= failures)
      await Promise.race([this.#running, new Promise((resolve) => setTimeout(resolve, 10))]);
  }

  /** Ends after the request that is under way. */
  async end(): Promise<void> {
    this.#isEnded = true;
    this.#endWait();
    await this.#running;
    this.#options.follower.close();
  }

  async #run(): Promise<void> {
    const { follower, reports } = this.#options;
    while (!this.#isEnded) {
      this.#step ??= follower.take();
      if (this.#step === undefined) return;
      if (await this.#ask(this.#step)) {
        this.#step = undefined;
        this.#failures = 0;
        reports.cosigned();
      } else {
        this.#failures += 1;
        await this.#pause();
      }
    }
  }

  /** Returns whether the witness has cosigned the tree of a step. */
  async #ask(step: TreeStep): Promise<boolean> {
    const { logKey, onCosigned, post, reports, verifier } = this.#options;
    const checkpoint = openCheckpoint(step.signed.checkpoint, { logs: [logKey], witnesses: [] });
    let attempt: Attempt = { checkpoint, from: step.from, proof: step.proof, isRepeated: false };
    try {
      for (;;) {
        const body = formatAddCheckpoint(attempt.from, attempt.proof, formatCheckpoint(checkpoint));
        const decision = decideAnswer(attempt, await post(body), verifier);
        if (decision.kind === 'cosigned') {
          onCosigned(decision.checkpoint);
          return true;
        }
        if (decision.kind === 'not cosigned') {
          reports.failed(decision.failure, decision.why);
          return false;
        }
        if (decision.kind === 'again') attempt = decision.attempt;
        else {
          const { from } = decision;
          attempt = { checkpoint, from, proof: await this.#prove(from, step), isRepeated: true };
        }
      }
    } catch (error) {
      reports.failed(error instanceof CannotProve ? 'lost' : 'failed', (error as Error).message);
      return false;
    }
  }

  async #prove(from: number, { signed }: TreeStep): Promise<ConsistencyProof> {
    const { now = () => performance.now(), prove } = this.#options;
    if (now() - this.#provedAt < proveEveryMs)
      throw new Error('it tells again that it has cosigned a tree that it was not sent last');
    this.#provedAt = now();
    return await prove(from, signed);
  }

  /** At least the interval of checkpoints, and at random up to a window more that doubles with each failure. */
  async #pause(): Promise<void> {
    const { everyMs, longestWindowMs, random = Math.random, wait } = this.#options;
    const window = Math.min(longestWindowMs, everyMs * 2 ** (this.#failures - 1));
    const milliseconds = everyMs + Math.ceil(random() * window);
    if (this.#isEnded) return;
    await (wait?.(milliseconds) ?? this.#sleep(milliseconds));
  }

  #sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds).unref();
      this.#endWait = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

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
