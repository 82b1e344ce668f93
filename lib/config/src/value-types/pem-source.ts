import { expected, read, type ValueType } from './value-type.js';
import { path } from './text.js';

const what = 'an absolute path, or PEM text that begins with -----BEGIN';

/** Reports whether a value is PEM text itself, and not the path of a file with it. */
export function isPemText(value: string): boolean {
  return value.trimStart().startsWith('-----BEGIN ');
}

/** PEM, as the path of a file in the guest or as text in the document. */
export const pemSource: ValueType<string> = {
  name: 'path, or PEM text',
  schema: { type: 'string', minLength: 1 },
  fromToml: (value) => (value.kind === 'string' ? pemSource.fromText(value.value) : expected(what)),
  fromText: (text) => (isPemText(text) || path.fromText(text).ok ? read(text) : expected(what)),
  write: (value) => JSON.stringify(value),
};
