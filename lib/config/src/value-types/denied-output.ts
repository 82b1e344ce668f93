import { size } from './size.js';
import { read, type ValueType } from './value-type.js';

const logSize = size({ min: 4096, max: 2 ** 30 });

/** `"discard"`, or the size of a log. */
export const deniedOutput: ValueType<'discard' | number> = {
  name: `"discard", or ${logSize.name}`,
  schema: { anyOf: [{ enum: ['discard'] }, logSize.schema] },
  fromToml(value) {
    if (value.kind === 'string' && value.value === 'discard') return read('discard');
    const bytes = logSize.fromToml(value);
    return bytes.ok ? bytes : { ...bytes, expected: `"discard" or ${bytes.expected}` };
  },
  fromText: (text) => (text === 'discard' ? read('discard') : logSize.fromText(text)),
  write: (value) => (value === 'discard' ? '"discard"' : logSize.write(value)),
};
