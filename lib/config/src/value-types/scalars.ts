import { nearest } from '../diagnostics/misspelled-name.js';
import { expected, read, type Reading, type ValueType } from './value-type.js';

/** An integer from `min` to `max`, inclusive; both are safe integers. */
export function integer(bounds: {
  readonly min: number;
  readonly max: number;
  /** What it counts: `a number of seconds`. */
  readonly what?: string;
  readonly name?: string;
}): ValueType<number> {
  const { min, max, what = 'a whole number', name = 'integer' } = bounds;
  const range = max === Number.MAX_SAFE_INTEGER ? `from ${min} on` : `from ${min} to ${max}`;
  const within = (value: bigint): Reading<number> =>
    value >= BigInt(min) && value <= BigInt(max) ? read(Number(value)) : expected(`${what} ${range}`);
  return {
    name: `${name}, ${range}`,
    schema: { type: 'integer', minimum: min, maximum: max },
    fromToml: (value) => (value.kind === 'integer' ? within(value.value) : expected(`${what} ${range}`)),
    fromText: (text) => (/^-?\d{1,20}$/.test(text) ? within(BigInt(text)) : expected(`${what} ${range}`)),
    write: String,
  };
}

/** Whole seconds, at least one, because a timeout of 0 would always fail. The maximum is that of setTimeout. */
export const seconds: ValueType<number> = integer({
  min: 1,
  max: 2_147_483,
  what: 'a number of seconds',
  name: 'seconds',
});

/** A vsock port; 0: none. The highest is VMADDR_PORT_ANY. */
export const port: ValueType<number> = integer({
  min: 0,
  max: 4_294_967_294,
  what: 'a vsock port',
  name: 'port',
});

const u64Max = '18446744073709551615';

/** A count, or `"max"` for no limit. Overrides also accept Kata's number for that. */
export const countOrMax: ValueType<number | 'max'> = {
  name: 'integer or "max"',
  schema: { anyOf: [{ type: 'integer', minimum: 0 }, { enum: ['max'] }] },
  fromToml(value) {
    if (value.kind === 'string' && value.value === 'max') return read('max');
    return value.kind === 'integer' ? countOrMax.fromText(String(value.value)) : expected(countOrMaxText);
  },
  fromText(text) {
    if (text === 'max' || text === u64Max) return read('max');
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    return Number.isSafeInteger(value) ? read(value) : expected(countOrMaxText);
  },
  write: (value) => (value === 'max' ? '"max"' : String(value)),
};

const countOrMaxText = 'a whole number from 0 on, or "max"';

const booleanWords: ReadonlyMap<string, boolean> = new Map([
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
    const value = booleanWords.get(text);
    return value === undefined ? expected('true or false') : read(value);
  },
  write: String,
};

/** One of several exact words; `synonyms` maps additional words to them. */
export function oneOf<W extends string>(
  words: readonly W[],
  synonyms: ReadonlyMap<string, W> = new Map(),
): ValueType<W> {
  const what = inWords(words);
  const fromText = (text: string): Reading<W> => {
    const value = words.find((word) => word === text) ?? synonyms.get(text);
    if (value !== undefined) return read(value);
    const near = nearest(text, [...words, ...synonyms.keys()]);
    return expected(what, near === undefined ? undefined : `did you mean "${near}"?`);
  };
  return {
    name: what,
    schema: { enum: [...words, ...synonyms.keys()] },
    fromToml: (value) => (value.kind === 'string' ? fromText(value.value) : expected(what)),
    fromText,
    write: (value) => JSON.stringify(value),
  };
}

function inWords(words: readonly string[]): string {
  const quoted = words.map((word) => JSON.stringify(word));
  return quoted.length < 2 ? quoted.join('') : `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`;
}
