import { expected, read, type Reading, type ValueType } from './value-type.js';

const units: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['B', 1],
  ['KiB', 1024],
  ['MiB', 1024 ** 2],
  ['GiB', 1024 ** 3],
]);

/** A size in bytes: an integer, or a string with a unit, `"16MiB"`. */
export function size(bounds: { readonly min: number; readonly max: number }): ValueType<number> {
  const range = `from ${writeSize(bounds.min)} to ${writeSize(bounds.max)}`;
  const what = `a size ${range}, in bytes or as "64KiB", "16MiB", "1GiB"`;
  const within = (bytes: number): Reading<number> =>
    bytes >= bounds.min && bytes <= bounds.max ? read(bytes) : expected(what);
  const fromText = (text: string): Reading<number> => {
    const match = /^(\d{1,15}) ?([A-Za-z]*)$/.exec(text);
    if (match === null) return expected(what);
    const [, digits = '', unit = ''] = match;
    const factor = units.get(unit);
    if (factor !== undefined) return within(Number(digits) * factor);
    const meant = Array.from(units.keys()).find((known) => known.charAt(0) === unit.charAt(0).toUpperCase());
    return expected(what, meant === undefined ? undefined : `did you mean "${digits}${meant}"?`);
  };
  return {
    name: `bytes or text with a unit, ${range}`,
    schema: {
      anyOf: [
        { type: 'integer', minimum: bounds.min, maximum: bounds.max },
        { type: 'string', pattern: `^\\d{1,15} ?(${Array.from(units.keys()).filter(Boolean).join('|')})?$` },
      ],
    },
    fromToml(value) {
      if (value.kind === 'integer') return within(Number(value.value));
      return value.kind === 'string' ? fromText(value.value) : expected(what);
    },
    fromText,
    write: (bytes) => (/^\d+$/.test(writeSize(bytes)) ? String(bytes) : `"${writeSize(bytes)}"`),
  };
}

/** Formats bytes in the largest unit that divides them: `16MiB`, `1000`. */
export function writeSize(bytes: number): string {
  for (const [unit, factor] of Array.from(units).reverse()) {
    if (factor > 1 && bytes > 0 && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return String(bytes);
}

const durationUnits: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

/** A duration in ms: written as an integer in seconds, or as a string with a unit, `"500ms"`, `"10s"`. */
export function duration(bounds: { readonly minMs: number; readonly maxMs: number }): ValueType<number> {
  const range = `from ${writeDuration(bounds.minMs)} to ${writeDuration(bounds.maxMs)}`;
  const what = `a time ${range}, in seconds or as "500ms", "10s", "2m"`;
  const within = (ms: number): Reading<number> =>
    ms >= bounds.minMs && ms <= bounds.maxMs ? read(ms) : expected(what);
  const fromText = (text: string): Reading<number> => {
    const match = /^(\d{1,12})(ms|s|m|h)?$/.exec(text);
    return match === null
      ? expected(what)
      : within(Number(match[1]) * (durationUnits.get(match[2] ?? 's') ?? 1000));
  };
  return {
    name: `seconds or text with a unit, ${range}`,
    schema: {
      anyOf: [
        {
          type: 'integer',
          minimum: Math.ceil(bounds.minMs / 1000),
          maximum: Math.floor(bounds.maxMs / 1000),
        },
        { type: 'string', pattern: `^\\d{1,12}(${Array.from(durationUnits.keys()).join('|')})?$` },
      ],
    },
    fromToml(value) {
      if (value.kind === 'integer') return within(Number(value.value) * 1000);
      return value.kind === 'string' ? fromText(value.value) : expected(what);
    },
    fromText,
    write: (ms) => `"${writeDuration(ms)}"`,
  };
}

/** Formats milliseconds in the largest unit that divides them: `10s`, `500ms`. */
export function writeDuration(ms: number): string {
  for (const [unit, factor] of Array.from(durationUnits).reverse()) {
    if (ms > 0 && ms % factor === 0) return `${ms / factor}${unit}`;
  }
  return `${ms}ms`;
}

const expectedTime =
  'a time in quotes, in UTC and whole seconds, such as "2026-11-26T00:00:00Z", from 1970 to 2231';

/** Linux cannot be set to 2232-04-18 or later: TIME_SETTOD_SEC_MAX, linux/time64.h. */
const maxTime = Date.UTC(2232, 0);

/** A time as in RFC 3339, in UTC; milliseconds since 1970. */
export const utcTime: ValueType<number> = {
  name: 'time in UTC (RFC 3339)',
  schema: { type: 'string', pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}Z$' },
  fromToml: (value) => (value.kind === 'string' ? utcTime.fromText(value.value) : expected(expectedTime)),
  fromText(text): Reading<number> {
    const time = Date.parse(text);
    // Date.parse accepts other forms, and dates that do not exist.
    const exact = !Number.isNaN(time) && writeUtcTime(time) === text;
    return exact && time >= 0 && time < maxTime ? read(time) : expected(expectedTime);
  },
  write: (time) => `"${writeUtcTime(time)}"`,
};

function writeUtcTime(time: number): string {
  return new Date(time).toISOString().replace('.000Z', 'Z');
}

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

const requiredTime = duration({ minMs: 2_000, maxMs: 86_400_000 });

function orOff(reading: Reading<number>): Reading<number | 'off'> {
  return reading.ok ? reading : { ...reading, expected: `"off", or ${reading.expected}` };
}

/** A time in ms, or "off". */
export const requiredWithin: ValueType<number | 'off'> = {
  name: `"off", or ${requiredTime.name}`,
  schema: { anyOf: [{ enum: ['off'] }, requiredTime.schema] },
  fromToml: (value) =>
    value.kind === 'string' && value.value === 'off' ? read('off') : orOff(requiredTime.fromToml(value)),
  fromText: (text) => (text === 'off' ? read('off') : orOff(requiredTime.fromText(text))),
  write: (value) => (value === 'off' ? '"off"' : requiredTime.write(value)),
};
