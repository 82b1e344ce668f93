import { type JsonFail, JsonFields } from '@kata-agent/base';
import { EvidenceFormError } from './evidence-error.js';

/** Reads members of a JSON object. All errors are EvidenceFormErrors. */
export function formOf(value: unknown, name: string): JsonFields {
  return JsonFields.of(value, name, fail);
}

const fail: JsonFail = (text, { owner, member, wanted }) => {
  if (wanted === undefined)
    return new EvidenceFormError(
      member === undefined ? text : `${owner}: unknown member ${JSON.stringify(member)}`,
    );
  const where = member === undefined ? owner : `${owner}, ${member}`;
  return new EvidenceFormError(`${where}: must be ${words.get(wanted) ?? wanted}`);
};

const words: ReadonlyMap<string, string> = new Map([
  ['a string', 'text'],
  ['an array', 'a list'],
]);

/** Parses JSON of a file or a message. A duplicate key is not detected: the last one counts, for every reader of it. */
export function parseJson(bytes: Uint8Array, name: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new EvidenceFormError(`${name}: not JSON in UTF-8`, { cause: error });
  }
}
