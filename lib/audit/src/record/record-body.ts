import type { Decision } from '@kata-agent/catalogue';
import type { AuditedCall, CallResult, RecordedImage, RecordedSecrets, Subject } from '../audit-log.js';
import { clip } from './written.js';
import type { FoldRecord, RecordBody, RecordedDecision } from './record.js';
import { recordedFacts, recordedRequest } from './recorded-request.js';

/** Limit for a string from outside, in bytes as written; with these limits a record without facts is below 8 KiB. */
const nameLength = 128;
/** Limit for ids. Ids that the guest accepts fit: they have at most 128 ASCII characters. */
export const idBytes: number = nameLength;
const textLength = 512;
/** Names of operators that the agent accepts fit, unless they have many characters that are escaped. */
const operatorLength = 256;

// Located out without spread syntax: this is the hot path of each call.

export function intentBody(call: AuditedCall, decision: Decision, digest: string): RecordBody {
  return {
    kind: 'intent',
    listener: clip(call.listener, nameLength),
    peer: clip(call.peer, textLength),
    method: clip(call.method, nameLength),
    claimedOperator: clipOptional(call.claimedOperator, operatorLength),
    decision: decisionOf(decision),
    digest,
    subject: subjectOf(call.subject),
    request: call.request && recordedRequest(call.request),
    facts: call.facts && recordedFacts(call.facts),
  };
}

export function refusalBody(call: AuditedCall, decision: Decision, digest: string): RecordBody {
  return {
    kind: 'refusal',
    listener: clip(call.listener, nameLength),
    peer: clip(call.peer, textLength),
    method: clip(call.method, nameLength),
    claimedOperator: clipOptional(call.claimedOperator, operatorLength),
    decision: decisionOf(decision),
    digest,
    subject: subjectOf(call.subject),
    request: call.request && recordedRequest(call.request),
    facts: call.facts && recordedFacts(call.facts),
  };
}

export function outcomeBody(intent: number, call: AuditedCall, result: CallResult): RecordBody {
  return {
    kind: 'outcome',
    intent,
    listener: clip(call.listener, nameLength),
    peer: clip(call.peer, textLength),
    method: clip(call.method, nameLength),
    claimedOperator: clipOptional(call.claimedOperator, operatorLength),
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
    listener: clip(call.listener, nameLength),
    peer: clip(call.peer, textLength),
    method: clip(call.method, nameLength),
    claimedOperator: clipOptional(call.claimedOperator, operatorLength),
    decision: decisionOf(decision),
    digest,
    subject: subjectOf(call.subject),
    request: call.request && recordedRequest(call.request),
    facts: call.facts && recordedFacts(call.facts),
    result: resultOf(result),
  };
}

/** The members that a fold record has in common with the records it counts. */
export type FoldHead = Pick<
  FoldRecord,
  | 'of'
  | 'listener'
  | 'peer'
  | 'method'
  | 'claimedOperator'
  | 'decision'
  | 'digest'
  | 'subject'
  | 'request'
  | 'code'
>;

export function foldedCallHead(call: AuditedCall, decision: Decision, result: CallResult): FoldHead {
  return {
    of: 'call',
    listener: clip(call.listener, nameLength),
    peer: clip(call.peer, textLength),
    method: clip(call.method, nameLength),
    claimedOperator: clipOptional(call.claimedOperator, operatorLength),
    decision: decisionOf(decision),
    subject: subjectOf(call.subject),
    code: clip(result.code, nameLength),
  };
}

/** For calls that failed, whatever their subject. */
export function foldedFailureHead(call: AuditedCall, decision: Decision, result: CallResult): FoldHead {
  return { ...foldedCallHead(call, decision, result), subject: undefined };
}

/** For calls with equal requests, or that continue one: then their requests differ, and what they name is repeated. */
export function foldedRepeatHead(
  call: AuditedCall,
  decision: Decision,
  digest: () => string,
  result: CallResult,
): FoldHead {
  const head = foldedCallHead(call, decision, result);
  if (call.continues === undefined) return { ...head, digest: digest() };
  return { ...head, ...(call.request !== undefined && { request: recordedRequest(call.request) }) };
}

export function foldedRefusalHead(call: AuditedCall, decision: Decision): FoldHead {
  return {
    of: 'refusal',
    listener: clip(call.listener, nameLength),
    peer: clip(call.peer, textLength),
    method: clip(call.method, nameLength),
    claimedOperator: clipOptional(call.claimedOperator, operatorLength),
    decision: decisionOf(decision),
  };
}

function decisionOf(decision: Decision): RecordedDecision {
  return {
    outcome: decision.outcome,
    code: decision.code,
    rule: clipOptional(decision.rule, nameLength),
    reason: clip(decision.reason, textLength),
  };
}

function subjectOf(subject: Subject | undefined): Subject | undefined {
  if (subject === undefined) return undefined;
  return {
    containerId: clipOptional(subject.containerId, idBytes),
    execId: clipOptional(subject.execId, idBytes),
    argv0: clipOptional(subject.argv0, textLength),
  };
}

function resultOf(result: CallResult): CallResult {
  return {
    code: clip(result.code, nameLength),
    message: clipOptional(result.message, textLength),
    durationUs: result.durationUs,
    bytes: result.bytes,
    clock: result.clock,
    image: result.image && imageOf(result.image),
    secrets: result.secrets && secretsOf(result.secrets),
  };
}

/** A policy has fewer signatures than this for one image, and a record must stay small. */
const maxSignatures = 8;

function imageOf({ from, digest, manifestDigest, signatures }: RecordedImage): RecordedImage {
  return {
    from,
    digest: clipOptional(digest, nameLength),
    manifestDigest: clipOptional(manifestDigest, nameLength),
    signatures: signatures?.slice(0, maxSignatures).map((each) => clip(each, nameLength)),
  };
}

/** A record must stay small. */
const maxSecrets = 6;

function secretsOf({ count, names }: RecordedSecrets): RecordedSecrets {
  return { count, names: names.slice(0, maxSecrets).map((each) => clip(each, nameLength)) };
}

function clipOptional(text: string | undefined, length: number): string | undefined {
  return text === undefined ? undefined : clip(text, length);
}
