import {
  beginKey,
  clockOf,
  decisionOf,
  healthService,
  imageOf,
  managementService,
  movedBytesKey,
  secretsOf,
} from './call-values.js';
import { isMessage, type Message } from '@bufbuild/protobuf';
import { type CopyFileRequest, CopyFileRequestSchema } from '@kata-agent/protocol/agent';
import { type AuditedCall, type AuditLog, AuditUnavailable, type CallResult } from '@kata-agent/audit';
import { endpoints, isMethodName, type ManagementMethod, type MethodName } from '@kata-agent/catalogue';
import type { Decision } from '@kata-agent/gate';
import { Code, codeName, type HandlerContext, type ServerInterceptor, TtrpcError } from '@kata-agent/ttrpc';
import type { Caller } from '../caller.js';
import { auditFailure } from './gate-check.js';
import { auditedCall, type RecordOf } from './audited-call.js';

/** How long a failure counts, in ms. */
const recentMs = 10_000;

/** A request or reply that can carry a workload's bytes. */
interface Moving extends Message {
  readonly data?: Uint8Array;
  readonly signal?: number;
}

/**
 * Methods whose handlers do not request the intent record (`Guest.change` and `Guest.begin` do): the intent always
 * precedes the handler.
 */
const recordedFirst: ReadonlySet<MethodName> = new Set<MethodName>([
  'MemAgentCompactSet',
  'MemAgentMemcgSet',
  'RemoveStaleVirtiofsShareMounts',
  'ReseedRandomDev',
  'SetGuestDateTime',
  'SetPolicy',
]);

/**
 * Records each allowed call. For a call that changes state, the intent is on disk before the change, and the outcome
 * follows; other calls have one record, afterwards. A change that cannot be recorded is not made (S19).
 *
 * After a failure, intents of the same method are recorded only when the guest requests it, as a change begins: a call
 * that fails earlier has changed nothing, and has one record, which is counted with equal ones.
 *
 * Calls that only read, and repetitions of a recorded call, have one record and are counted too.
 */
export function auditing(audit: AuditLog, recordOf: RecordOf): ServerInterceptor<Caller> {
  const failures = new RecentFailures();
  return async (request: Moving, context, next) => {
    const how = handling(context, request);
    const call = { ...auditedCall(request, context, how), ...recordOf(context.method, request) };
    const decision = decisionOf(context);
    const begin = performance.now();
    const recordsOne = how.records === 'one' || (how.repeatable && audit.repeats(call, decision));
    const intent = recordsOne ? undefined : new Intent(audit, call, decision);
    const { listener } = call;
    if (
      intent !== undefined &&
      (how.records === 'intent first' || !failures.has(listener, call.method, begin))
    )
      await intent.begin();
    if (intent === undefined && how.changes && !audit.writable) throw auditFailure(audit.failure);
    if (how.begins) context.values.set(beginKey, intent === undefined ? notNeeded : () => intent.begin());
    const record = (result: CallResult) =>
      intent?.sequence === undefined
        ? audit.observe(call, decision, result)
        : audit.outcome(intent.sequence, call, result);
    try {
      const reply = await next(request);
      if (intent !== undefined && intent.sequence === undefined)
        throw new Error(`${context.method}: a change may have been made without an intent record`);
      record({
        code: 'OK',
        durationUs: since(begin),
        ...moved(request, reply, context),
        ...clockOf(context.values),
        ...imageOf(context.values),
        ...secretsOf(context.values),
      });
      return reply;
    } catch (error) {
      // A change that could not be recorded was not made, and has no outcome record either.
      if (intent?.failure !== undefined) throw intent.failure;
      if (intent !== undefined) failures.add(listener, call.method, performance.now());
      record({
        ...failure(error),
        durationUs: since(begin),
        ...imageOf(context.values),
        ...secretsOf(context.values),
      });
      throw error;
    }
  };
}

const notNeeded = (): Promise<void> => Promise.resolve();

/** Writes the intent record of a call: requested for each change that the call begins, written once. */
class Intent {
  /** Undefined: not written. */
  sequence: number | undefined;
  /** Why it cannot be written. */
  failure: TtrpcError | undefined;
  readonly #write: () => Promise<number>;
  #written: Promise<void> | undefined;

  constructor(audit: AuditLog, call: AuditedCall, decision: Decision) {
    this.#write = () => audit.intent(call, decision);
  }

  begin(): Promise<void> {
    this.#written ??= this.#begin();
    return this.#written;
  }

  async #begin(): Promise<void> {
    try {
      this.sequence = await this.#write();
    } catch (error) {
      if (!(error instanceof AuditUnavailable)) throw error;
      this.failure = auditFailure(error);
      throw this.failure;
    }
  }
}

interface Handling {
  readonly changes: boolean;
  /** Whether the handler requests the intent record. */
  readonly begins: boolean;
  /** Whether calls are counted together. */
  readonly folded: boolean;
  /** Whether the method ends something: it is recorded even while the log's disk is full. */
  readonly urgent: boolean;
  /** Whether the call is counted with an equal one, or with one that it continues, that was recorded. */
  readonly repeatable: boolean;
  /** What the call continues, or begins if it is not `repeatable`. */
  readonly continues?: string;
  readonly records: 'one' | 'intent' | 'intent first';
}

/** A caller can repeat calls that change nothing without limit. */
const look: Handling = {
  changes: false,
  begins: false,
  folded: true,
  urgent: false,
  repeatable: false,
  records: 'one',
};

/** Signal 0 only tests whether a process exists. */
const signalNothing: Handling = { ...look, begins: true };

const managing: ReadonlyMap<string, Handling> = new Map<ManagementMethod, Handling>([
  // A watcher can stay for days: its first record is written when it comes.
  ['WatchAudit', { ...look, folded: false, records: 'intent first' }],
  ['RevokePeer', { ...look, folded: false, changes: true, records: 'intent first' }],
]);

const handlings: ReadonlyMap<string, Handling> = new Map(
  Object.values(endpoints).map(({ method, changes, fold, ends = false }): [string, Handling] => {
    if (!changes) return [method, look];
    const repeatable = fold === 'repeat';
    const folded = fold !== undefined && !repeatable;
    const first = recordedFirst.has(method) ? 'intent first' : 'intent';
    const records = folded ? 'one' : first;
    return [method, { changes, begins: true, folded, urgent: ends, repeatable, records }];
  }),
);

function handling({ service, method }: HandlerContext<Caller>, request: Moving): Handling {
  if (service === managementService) return managing.get(method) ?? look;
  if (service === healthService || !isMethodName(method)) return look;
  if (method === 'SignalProcess' && request.signal === 0) return signalNothing;
  const usual = handlings.get(method) ?? look;
  return isMessage(request, CopyFileRequestSchema) ? pieceHandling(usual, request) : usual;
}

/**
 * A file arrives in pieces. The first has records of its own, as each file; those that follow with the same mode, size and
 * owner are counted, so that a large file takes as many records as a small one.
 */
function pieceHandling(
  usual: Handling,
  { path, fileMode, fileSize, uid, gid, offset }: CopyFileRequest,
): Handling {
  const continues = JSON.stringify([path, fileMode, String(fileSize), uid, gid]);
  return { ...usual, continues, repeatable: offset !== 0n };
}

function since(begin: number): number {
  return Math.round((performance.now() - begin) * 1_000);
}

/** Returns the number of payload bytes of a call, in either direction. */
function moved(
  request: Moving,
  reply: Moving,
  { values }: HandlerContext<Caller>,
): { readonly bytes?: number } {
  const forwarded = values.get(movedBytesKey);
  if (forwarded !== undefined) return { bytes: forwarded };
  const data = reply.data ?? request.data;
  return data === undefined ? {} : { bytes: data.length };
}

function failure(error: unknown): { readonly code: string; readonly message: string } {
  return error instanceof TtrpcError
    ? { code: codeName(error.code), message: error.message }
    : { code: codeName(Code.Internal), message: error instanceof Error ? error.message : String(error) };
}

/**
 * Methods with recent failures. A caller that provokes failures must not fill the log: the intents of their next calls
 * are recorded only when a change begins. For other methods the intents precede the queue, so that concurrent calls
 * share one disk write.
 */
class RecentFailures {
  readonly #until = new Map<string, number>();

  /** `now` in ms, on a monotonic clock. */
  add(listener: string, method: string, now: number): void {
    this.#until.set(`${listener}\0${method}`, now + recentMs);
  }

  has(listener: string, method: string, now: number): boolean {
    return (this.#until.get(`${listener}\0${method}`) ?? 0) > now;
  }
}
