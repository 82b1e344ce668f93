import type { AuditRecord } from '../record/record.js';

/** Records have fewer levels. */
const maxLevels = 100;

/** A shorter line has at most half as many levels: recursion over its value ends before the stack does. */
const shortBytes = 4_096;

const [quote, backslash] = [0x22, 0x5c];

/** `[`, `{`, and what closes them. */
const steps: ReadonlyMap<number, 1 | -1> = new Map([
  [0x5b, 1],
  [0x7b, 1],
  [0x5d, -1],
  [0x7d, -1],
]);

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reports whether a parsed line has the members that readers compute with. A right hash says nothing about that: anyone who can
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
      return hasScalars(record, 'boot') && isObject(record['facts']);
    case 'intent':
    case 'refusal':
      return isCall(record) && isDecision(record['decision']);
    case 'outcome':
      return isCall(record) && hasScalars(record, 'intent') && isResult(record['result']);
    case 'call':
      return isCall(record) && isDecision(record['decision']) && isResult(record['result']);
    case 'fold':
      return isFold(record);
    case 'lost':
      return Number.isSafeInteger(record['count']) && hasScalars(record, 'failure');
    case 'repaired':
      return hasScalars(record, 'cutBytes');
    case 'rotated':
      return isSummary(record['segment']) && isAbsentOr(record['removed'], isRemoved);
    default:
      return true;
  }
}

function isCall({ listener, peer, method, subject }: Fields): boolean {
  return (
    typeof listener === 'string' &&
    typeof peer === 'string' &&
    typeof method === 'string' &&
    isAbsentOr(subject, isSubject)
  );
}

function isFold(record: Fields): boolean {
  const { decision, count } = record;
  return (
    isCall(record) &&
    isDecision(decision) &&
    Number.isSafeInteger(count) &&
    hasScalars(record, 'code', 'bytes', 'durationUs')
  );
}

function isSubject(value: unknown): boolean {
  return isObject(value) && hasScalars(value, 'containerId', 'execId', 'argv0');
}

function isDecision(value: unknown): boolean {
  return isObject(value) && hasScalars(value, 'outcome', 'code', 'rule', 'reason');
}

function isResult(value: unknown): boolean {
  return (
    isObject(value) &&
    hasScalars(value, 'code', 'message', 'durationUs', 'bytes') &&
    isAbsentOr(value['clock'], (clock) => isObject(clock) && hasScalars(clock, 'before', 'after')) &&
    isAbsentOr(value['image'], isImage) &&
    isAbsentOr(value['secrets'], isSecrets)
  );
}

function isImage(value: unknown): boolean {
  return (
    isObject(value) &&
    hasScalars(value, 'from', 'digest', 'manifestDigest') &&
    isAbsentOr(value['signatures'], (list) => Array.isArray(list) && list.every(isScalar))
  );
}

function isSecrets(value: unknown): boolean {
  return (
    isObject(value) &&
    hasScalars(value, 'count') &&
    Array.isArray(value['names']) &&
    value['names'].every(isScalar)
  );
}

function isSummary(value: unknown): value is Fields {
  if (!isObject(value)) return false;
  const { after, last, counts } = value;
  return isPosition(after) && isPosition(last) && isObject(counts) && Object.values(counts).every(isObject);
}

function isRemoved(value: unknown): boolean {
  return isSummary(value) && isAbsentOr(value['kept'], isKept) && isAbsentOr(value['tree'], isTree);
}

function isKept(value: unknown): boolean {
  return isObject(value) && hasScalars(value, 'records', 'sha256');
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

/** Reports whether these members are scalars where they are present. Not every object can be made a text. */
function hasScalars(fields: Fields, ...names: readonly string[]): boolean {
  // A loop: of each record that is read.
  for (const name of names) if (fields[name] !== undefined && !isScalar(fields[name])) return false;
  return true;
}

function isScalar(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number';
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

/**
 * Reports whether a line of JSON has so many levels that code which walks its value could exhaust the stack: JSON.parse does not, but
 * JSON.stringify does, and String of a list.
 */
export function isTooDeep(line: Uint8Array): boolean {
  if (line.length < shortBytes) return false;
  let level = 0;
  let isText = false;
  for (let at = 0; at < line.length; at += 1) {
    const byte = line[at] as number;
    if (byte === quote) isText = !isText;
    else if (isText) at += byte === backslash ? 1 : 0;
    else level += steps.get(byte) ?? 0;
    if (level > maxLevels) return true;
  }
  return false;
}
