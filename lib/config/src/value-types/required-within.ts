import { duration } from './duration.js';
import { type Reading, read, type ValueType } from './value-type.js';

const time = duration({ minMs: 2_000, maxMs: 86_400_000 });

function orOff(reading: Reading<number>): Reading<number | 'off'> {
  return reading.ok ? reading : { ...reading, expected: `"off", or ${reading.expected}` };
}

/** A time in ms, or "off". */
export const requiredWithin: ValueType<number | 'off'> = {
  name: `"off", or ${time.name}`,
  schema: { anyOf: [{ enum: ['off'] }, time.schema] },
  fromToml: (value) =>
    value.kind === 'string' && value.value === 'off' ? read('off') : orOff(time.fromToml(value)),
  fromText: (text) => (text === 'off' ? read('off') : orOff(time.fromText(text))),
  write: (value) => (value === 'off' ? '"off"' : time.write(value)),
};
