import { createHmac, createSecretKey, randomBytes } from 'node:crypto';
import type { ConsistencyProof, LogSigner } from '@kata-agent/tlog';
import type { Decision } from '@kata-agent/catalogue';
import {
  type AuditedCall,
  type AuditLog,
  AuditUnavailable,
  type CallResult,
  type SignedHead,
  type TreeFollower,
} from './audit-log.js';
import { CallFold } from './coalesce/call-fold.js';
import { type Clock, systemClock } from './clock.js';
import { Heartbeat } from './heartbeat.js';
import { Checkpoints, CheckpointWriter, cosignedPath } from './checkpoints.js';
import { type Allocate, type FileLayer, replaceFile, systemFiles } from './file-layer.js';
import { proveGrowth } from './read/prove.js';
import { FailureFold, RefusalFold } from './coalesce/refusal-fold.js';
import { Journal } from './journal/journal.js';
import { type Present, type PresentContainer, subjectsOf } from './retention/present.js';
import type { RecordBody } from './record/record.js';
import { callBody, intentBody, outcomeBody, refusalBody } from './record/record-body.js';
import { Writer } from './journal/writer.js';
import { printableJson } from './record/written.js';

/** How long identical calls are gathered into one record, in ms. */
const foldMs = 10_000;
/** Maximum size of a boot record's facts as JSON, in bytes. */
const maxFactsBytes = 64 * 1024;

export interface AuditLogOptions {
  /** The active segment. Closed segments have the same path with a suffix: `FILE.1` (the newest), `FILE.2` … */
  readonly file: string;
  /** In bytes; a segment that has reached it is closed. */
  readonly maxSize: number;
  /** Number of closed segments to keep, at least 1. */
  readonly keep: number;
  readonly bootId: string;
  /** Signs checkpoints. Its key is named in the boot record. */
  readonly signer?: LogSigner;
  /** How often checkpoints are written to `FILE.checkpoint`, in ms, with a signer. */
  readonly checkpointEveryMs?: number;
  /** Called when a checkpoint could not be written; the next attempt follows by itself. */
  readonly onCheckpointFailure?: (error: Error) => void;
  /** Called after records were written, with the number of records in the tree. */
  readonly onTree?: (size: number) => void;
  /** After so many ms without a record, one is written. */
  readonly heartbeatMs?: number;
  readonly clock?: Clock;
  /** The key for the digests of requests; random when not given. */
  readonly key?: Uint8Array;
  /** Reserves space for calls that end something. Without it, a full disk stops those as well. */
  readonly allocate?: Allocate;
  readonly files?: FileLayer;
  /**
   * Returns the existing containers and their processes; called when records to outlive their segments are selected.
   * The records that created them are kept. While it returns undefined, all records of this boot are.
   */
  readonly present?: () => Iterable<PresentContainer> | undefined;
}

/**
 * Opens or creates the log and continues its chain. The file has mode 0600 and must not be a symbolic link; a missing
 * directory is created with mode 0700.
 *
 * @throws AuditUnavailable when it cannot be opened, written or continued.
 */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  const { file, maxSize, keep, bootId, clock = systemClock } = options;
  const files = options.files ?? systemFiles(options.allocate);
  if (!(keep >= 1)) throw new RangeError(`keep is ${keep}: at least one closed segment must be kept`);
  if (!(maxSize > 0)) throw new RangeError(`maxSize is ${maxSize}: a segment must have more than 0 bytes`);
  try {
    const underWay: UnderWay = new Map();
    const present = (): Present => {
      const containers = options.present === undefined ? [] : options.present();
      const subjects = containers && subjectsOf(containers);
      return { boot: bootId, underWay: new Set(underWay.keys()), subjects };
    };
    const { signer } = options;
    const logKey = signer?.verifier.toString();
    const journal = await Journal.open({ file, files, clock, bootId, logKey, maxSize, keep, present });
    const writer = new Writer(journal, { file, clock, onWritten: () => log.written() });
    const checkpoints = signer && new Checkpoints(journal, writer, signer);
    const { checkpointEveryMs: everyMs, onCheckpointFailure: onFailure = () => undefined } = options;
    const checkpointFile =
      checkpoints === undefined || everyMs === undefined
        ? undefined
        : new CheckpointWriter({
            file,
            files,
            clock,
            everyMs,
            size: () => journal.tree.size,
            sign: () => checkpoints.sign(),
            onFailure,
          });
    const digest = createDigest(options.key);
    const { heartbeatMs } = options;
    const { onTree } = options;
    const parts = { journal, writer, digest, clock, underWay, heartbeatMs, file, files, onTree };
    // Nothing is written before the caller has the log.
    const log = new ChainedLog({ ...parts, checkpoints, checkpointFile });
    return log;
  } catch (error) {
    if (error instanceof AuditUnavailable) throw error;
    const message = `audit log ${file} cannot be opened: ${(error as Error).message}`;
    throw new AuditUnavailable(`${message}; it must be missing or a regular file owned by the agent's user`, {
      cause: error,
    });
  }
}

/** Calls without an outcome yet, by the sequence number of their intent, with decision and digest of the request. */
type UnderWay = Map<number, { readonly decision: Decision; readonly digest: string }>;

class ChainedLog implements AuditLog {
  readonly #journal: Journal;
  readonly #writer: Writer;
  readonly #digest: Digest;
  readonly #clock: Clock;
  readonly #underWay: UnderWay;
  readonly #checkpoints: Checkpoints | undefined;
  readonly #checkpointFile: CheckpointWriter | undefined;
  readonly #heartbeat: Heartbeat | undefined;
  readonly #file: string;
  readonly #files: FileLayer;
  readonly #onTree: ((size: number) => void) | undefined;
  readonly #calls: CallFold;
  readonly #failures: FailureFold;
  readonly #refusals: RefusalFold;
  #repaired: RecordBody | undefined;
  #cancelTick: (() => void) | undefined;
  #closed: Promise<void> | undefined;
  readonly #onExit = (): void => this.#flushNow();

  constructor(parts: {
    readonly journal: Journal;
    readonly writer: Writer;
    readonly digest: Digest;
    readonly clock: Clock;
    readonly underWay: UnderWay;
    readonly heartbeatMs: number | undefined;
    readonly file: string;
    readonly files: FileLayer;
    readonly onTree: ((size: number) => void) | undefined;
    readonly checkpoints: Checkpoints | undefined;
    readonly checkpointFile: CheckpointWriter | undefined;
  }) {
    const { journal, writer, digest, clock, underWay, heartbeatMs } = parts;
    this.#checkpoints = parts.checkpoints;
    this.#checkpointFile = parts.checkpointFile;
    this.#file = parts.file;
    this.#files = parts.files;
    this.#onTree = parts.onTree;
    this.#journal = journal;
    this.#writer = writer;
    this.#digest = digest;
    this.#clock = clock;
    this.#underWay = underWay;
    const emit = (body: RecordBody): void => this.#add(body);
    const now = (): bigint => clock.monotonic();
    this.#calls = new CallFold(emit, now);
    this.#failures = new FailureFold(emit, now);
    this.#refusals = new RefusalFold(emit, now);
    if (journal.cutBytes > 0) this.#repaired = { kind: 'repaired', cutBytes: journal.cutBytes };
    if (heartbeatMs !== undefined) {
      const sequence = (): number => journal.head.sequence;
      this.#heartbeat = new Heartbeat(clock, heartbeatMs, sequence, () => emit({ kind: 'heartbeat' }));
    }
    process.once('exit', this.#onExit);
  }

  get writable(): boolean {
    return this.failure === undefined;
  }

  get failure(): Error | undefined {
    return this.#closed === undefined ? this.#writer.failure : closedFailure();
  }

  get hasReserve(): boolean {
    return this.#journal.hasReserve;
  }

  /** Called after each batch. */
  written(): void {
    this.#heartbeat?.written();
    this.#checkpointFile?.written();
    this.#onTree?.(this.#journal.tree.size);
  }

  async boot(facts: Readonly<Record<string, unknown>>): Promise<void> {
    this.#assertOpen();
    const { key: logKey } = this.#journal.tree;
    const body = {
      kind: 'boot',
      ...(logKey === undefined ? {} : { logKey }),
      facts: asWritten(facts),
    } as const;
    const written = this.#writer.addDurable(body);
    this.#tellRepair();
    await written;
  }

  async intent(call: AuditedCall, decision: Decision): Promise<number> {
    this.#assertOpen();
    this.#tellRepair();
    const digest = this.#digest(call.payload);
    const sequence = await this.#writer.addDurable(intentBody(call, decision, digest), call.urgent);
    this.#underWay.set(sequence, { decision, digest });
    return sequence;
  }

  outcome(intent: number, call: AuditedCall, result: CallResult): void {
    const begun = this.#underWay.get(intent);
    this.#underWay.delete(intent);
    this.#add(outcomeBody(intent, call, result), call.urgent);
    if (begun === undefined || call.repeatable !== true || result.code !== 'OK') return;
    const { decision, digest } = begun;
    const key = repeatKey(call, () => digest);
    if (this.#calls.has(key, call, decision, result)) return;
    this.#calls.count(key, call, decision, result, () => digest);
    this.#tickLater();
  }

  repeats(call: AuditedCall, decision: Decision): boolean {
    const key = repeatKey(call, () => this.#digest(call.payload));
    return this.#closed === undefined && this.writable && this.#calls.has(key, call, decision, success);
  }

  observe(call: AuditedCall, decision: Decision, result: CallResult): void {
    let made: string | undefined;
    const digest = (): string => (made ??= this.#digest(call.payload));
    if (result.code !== 'OK') {
      if (this.#failures.count(call, decision, result)) return;
      this.#tickLater();
    } else if (call.fold !== undefined) {
      if (this.#calls.count(call.fold, call, decision, result)) return;
      this.#tickLater();
    } else if (call.repeatable === true) {
      if (this.#calls.count(repeatKey(call, digest), call, decision, result, digest)) return;
      this.#tickLater();
    }
    this.#add(callBody(call, decision, digest(), result));
  }

  refuse(call: AuditedCall, decision: Decision): void {
    if (this.#refusals.count(call, decision)) return;
    this.#tickLater();
    this.#add(refusalBody(call, decision, this.#digest(call.payload)));
  }

  async checkpoint(): Promise<SignedHead> {
    this.#assertOpen();
    return await this.#signing.sign();
  }

  get treeSize(): number {
    return this.#journal.tree.size;
  }

  follow(): TreeFollower {
    return this.#signing.follow();
  }

  async checkpointRound(): Promise<SignedHead> {
    this.#assertOpen();
    return await this.#signing.round();
  }

  async proveSince(from: number, { size }: SignedHead): Promise<ConsistencyProof> {
    return await proveGrowth(this.#file, this.#journal, { from, to: size });
  }

  async storeCosigned(checkpoint: string): Promise<void> {
    this.#assertOpen();
    await replaceFile(cosignedPath(this.#file), checkpoint, this.#files);
  }

  get #signing(): Checkpoints {
    if (this.#checkpoints === undefined) throw new TypeError('the audit log was opened without a signer');
    return this.#checkpoints;
  }

  async flush(): Promise<void> {
    this.#assertOpen();
    this.#tick();
    await this.#writer.addDurable(undefined);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const flushed = this.flush();
    process.removeListener('exit', this.#onExit);
    try {
      await flushed;
    } finally {
      this.#cancelTick?.();
      this.#heartbeat?.stop();
      await this.#checkpointFile?.stop();
      await this.#writer.stop();
      await this.#journal.close();
    }
  }

  #flushNow(): void {
    this.#calls.tick();
    this.#failures.tick();
    this.#refusals.tick();
    this.#writer.writeNow();
  }

  #add(body: RecordBody, urgent = false): void {
    if (this.#closed !== undefined) return;
    this.#tellRepair();
    this.#writer.add(body, urgent);
  }

  /** Written after the boot record, or before the first other record if there is none. */
  #tellRepair(): void {
    const body = this.#repaired;
    if (body === undefined) return;
    this.#repaired = undefined;
    this.#writer.add(body);
  }

  #tickLater(): void {
    this.#cancelTick ??= this.#clock.after(foldMs, () => this.#tick());
  }

  #tick(): void {
    this.#cancelTick?.();
    this.#cancelTick = undefined;
    this.#calls.tick();
    this.#failures.tick();
    this.#refusals.tick();
    if (this.#calls.size + this.#failures.size + this.#refusals.size > 0) this.#tickLater();
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw closedFailure();
  }
}

const success: CallResult = { code: 'OK', durationUs: 0 };

/** `digest` is not called for a call that continues another one. */
function repeatKey({ method, continues }: AuditedCall, digest: () => string): string {
  return JSON.stringify([method, continues ?? digest()]);
}

/** A copy, so that a value that cannot be serialized is an error of the caller and not of the log. */
function asWritten(facts: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const text = JSON.stringify(facts);
  const { length } = printableJson(text);
  if (length > maxFactsBytes) {
    throw new RangeError(`the facts of a boot have ${length} bytes: at most ${maxFactsBytes} are recorded`);
  }
  return JSON.parse(text) as Readonly<Record<string, unknown>>;
}

function closedFailure(): AuditUnavailable {
  return new AuditUnavailable('the audit log is closed');
}

/** Returns the digest of a request that is recorded, in lower-case hex. */
type Digest = (payload: Uint8Array) => string;

/**
 * HMAC-SHA-256 under a key that never leaves this closure: without the key, a short secret in a request cannot be
 * guessed from its digest. Equal requests of one boot have equal digests.
 */
export function createDigest(key: Uint8Array = randomBytes(32)): Digest {
  const secret = createSecretKey(key);
  return (payload) => createHmac('sha256', secret).update(payload).digest('hex');
}
