import { expected, read, type ValueType } from './value-type.js';

const words: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['yes', true],
  ['on', true],
  ['false', false],
  ['no', false],
  ['off', false],
]);

/**
 * true or false. Overrides also accept what Kata's agent (any integer, 0 is false) and systemd (yes, no, on, off)
 * accept. Kata takes any other text for false; here it is an error.
 */
export const boolean: ValueType<boolean> = {
  name: 'boolean',
  schema: { type: 'boolean' },
  bare: true,
  fromToml: (value) => (value.kind === 'boolean' ? read(value.value) : expected('true or false')),
  fromText(text) {
    if (/^\d+$/.test(text)) return read(!/^0+$/.test(text));
    const value = words.get(text);
    return value === undefined ? expected('true or false') : read(value);
  },
  write: String,
};
