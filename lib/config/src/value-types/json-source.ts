import { path } from './text.js';
import { expected, read, type ValueType } from './value-type.js';

const what = 'an absolute path, or JSON text that begins with {';

/** Reports whether a value is JSON text itself, and not the path of a file with it. */
export function isJsonText(value: string): boolean {
  return value.trimStart().startsWith('{');
}

/** A JSON object, as the path of a file in the guest or as text in the document. */
export const jsonSource: ValueType<string> = {
  name: 'path, or JSON text',
  schema: { type: 'string', minLength: 1 },
  fromToml: (value) => (value.kind === 'string' ? jsonSource.fromText(value.value) : expected(what)),
  fromText: (text) => (isJsonText(text) || path.fromText(text).ok ? read(text) : expected(what)),
  write: (value) => JSON.stringify(value),
};
