import type { AuditRecord } from '../record/record.js';

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reports whether a parsed line has the members that readers compute with. A right hash says nothing about that: whoever can
 * write the file can make one. Kinds of later versions are records, too.
 */
export function isKnownRecord(value: unknown): value is AuditRecord {
  if (!isObject(value)) return false;
  const { sequence, prev, kind, wall } = value;
  return (
    isSequence(sequence) &&
    sequence >= 1 &&
    typeof prev === 'string' &&
    typeof kind === 'string' &&
    typeof wall === 'string' &&
    hasMembersOf(kind, value)
  );
}

function hasMembersOf(kind: string, record: Fields): boolean {
  switch (kind) {
    case 'boot':
      return isObject(record['facts']);
    case 'intent':
    case 'refusal':
      return isCall(record) && isObject(record['decision']);
    case 'outcome':
      return isCall(record) && isResult(record['result']);
    case 'call':
      return isCall(record) && isObject(record['decision']) && isResult(record['result']);
    case 'fold':
      return isCall(record) && isObject(record['decision']) && Number.isSafeInteger(record['count']);
    case 'lost':
      return Number.isSafeInteger(record['count']);
    case 'rotated':
      return isSummary(record['segment']) && isAbsentOr(record['removed'], isRemoved);
    default:
      return true;
  }
}

function isCall({ listener, peer, method, subject }: Fields): boolean {
  const texts = [listener, peer, method];
  return texts.every((text) => typeof text === 'string') && isAbsentOr(subject, isObject);
}

function isResult(value: unknown): boolean {
  return isObject(value) && isAbsentOr(value['clock'], isObject) && isAbsentOr(value['image'], isImage);
}

function isImage(value: unknown): boolean {
  return isObject(value) && isAbsentOr(value['signatures'], Array.isArray);
}

function isSummary(value: unknown): value is Fields {
  if (!isObject(value)) return false;
  const { after, last, counts } = value;
  return isPosition(after) && isPosition(last) && isObject(counts) && Object.values(counts).every(isObject);
}

function isRemoved(value: unknown): boolean {
  return isSummary(value) && isAbsentOr(value['kept'], isObject) && isAbsentOr(value['tree'], isTree);
}

function isTree(value: unknown): boolean {
  return isObject(value) && isSequence(value['first']) && typeof value['frontier'] === 'string';
}

function isPosition(value: unknown): boolean {
  return isObject(value) && isSequence(value['sequence']) && typeof value['hash'] === 'string';
}

function isSequence(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isAbsentOr(value: unknown, is: (value: unknown) => boolean): boolean {
  return value === undefined || is(value);
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}
