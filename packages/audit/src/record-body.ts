import type { Decision } from '@kata-agent/gate';
import type { AuditedCall, CallResult, Subject } from './audit-log.js';
import type { CallRecord, FoldRecord, RecordBody, RecordedDecision } from './record.js';

/** Texts come from outside, so each has a bound (in UTF-16 units); with them a record stays below 20 KiB. */
const nameLength = 128;
const textLength = 512;

export function intentBody(call: AuditedCall, decision: Decision, digest: string): RecordBody {
  return {
    kind: 'intent',
    ...callerOf(call),
    decision: decisionOf(decision),
    digest,
    subject: subjectOf(call.subject),
  };
}

export function refusalBody(call: AuditedCall, decision: Decision, digest: string): RecordBody {
  return {
    kind: 'refusal',
    ...callerOf(call),
    decision: decisionOf(decision),
    digest,
    subject: subjectOf(call.subject),
  };
}

export function outcomeBody(intent: number, call: AuditedCall, result: CallResult): RecordBody {
  return {
    kind: 'outcome',
    intent,
    ...callerOf(call),
    subject: subjectOf(call.subject),
    result: resultOf(result),
  };
}

export function callBody(
  call: AuditedCall,
  decision: Decision,
  digest: string,
  result: CallResult,
): RecordBody {
  return {
    kind: 'call',
    ...callerOf(call),
    decision: decisionOf(decision),
    digest,
    subject: subjectOf(call.subject),
    result: resultOf(result),
  };
}

/** What a fold record repeats of the records that it stands for. */
export type FoldHead = Pick<
  FoldRecord,
  'of' | 'listener' | 'peer' | 'method' | 'decision' | 'subject' | 'code'
>;

export function foldedCallHead(call: AuditedCall, decision: Decision, result: CallResult): FoldHead {
  return {
    of: 'call',
    ...callerOf(call),
    decision: decisionOf(decision),
    subject: subjectOf(call.subject),
    code: clip(result.code, nameLength),
  };
}

export function foldedRefusalHead(call: AuditedCall, decision: Decision): FoldHead {
  return { of: 'refusal', ...callerOf(call), decision: decisionOf(decision) };
}

type Caller = Pick<CallRecord, 'listener' | 'peer' | 'method'>;

function callerOf(call: AuditedCall): Caller {
  return {
    listener: clip(call.listener, nameLength),
    peer: clip(call.peer, textLength),
    method: clip(call.method, nameLength),
  };
}

function decisionOf(decision: Decision): RecordedDecision {
  return {
    outcome: decision.outcome,
    rule: decision.rule === undefined ? undefined : clip(decision.rule, nameLength),
    reason: clip(decision.reason, textLength),
  };
}

function subjectOf(subject: Subject | undefined): Subject | undefined {
  if (subject === undefined) return undefined;
  const { containerId, execId, argv0 } = subject;
  return {
    ...(containerId === undefined ? {} : { containerId: clip(containerId, nameLength) }),
    ...(execId === undefined ? {} : { execId: clip(execId, nameLength) }),
    ...(argv0 === undefined ? {} : { argv0: clip(argv0, textLength) }),
  };
}

function resultOf(result: CallResult): CallResult {
  const { code, message, durationUs, bytes } = result;
  return {
    code: clip(code, nameLength),
    ...(message === undefined ? {} : { message: clip(message, textLength) }),
    durationUs,
    ...(bytes === undefined ? {} : { bytes }),
  };
}

/** Cuts to `length`, the mark included. */
export function clip(text: string, length: number): string {
  if (text.length <= length) return text;
  // A slice keeps its parent alive, and the parent may have the size of a frame: copy.
  return Buffer.from(`${text.slice(0, length - 1)}…`, 'utf16le').toString('utf16le');
}
