import { duration } from './duration.js';
import { type Reading, read, type ValueType } from './value-type.js';

const time = duration({ minMs: 2_000, maxMs: 86_400_000 });

function orOff(reading: Reading<number>): Reading<number | undefined> {
  return reading.ok ? reading : { ...reading, expected: `"off", or ${reading.expected}` };
}

/** A time in ms, or undefined for "off". */
export const requiredWithin: ValueType<number | undefined> = {
  name: `"off", or ${time.name}`,
  schema: { anyOf: [{ enum: ['off'] }, time.schema] },
  fromToml: (value) =>
    value.kind === 'string' && value.value === 'off' ? read(undefined) : orOff(time.fromToml(value)),
  fromText: (text) => (text === 'off' ? read(undefined) : orOff(time.fromText(text))),
  write: (value) => (value === undefined ? '"off"' : time.write(value)),
};
