import { expected, type Reading, read, type ValueType } from './value-type.js';

const units: ReadonlyMap<string, number> = new Map([
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
    return match === null ? expected(what) : within(Number(match[1]) * (units.get(match[2] ?? 's') ?? 1000));
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
        { type: 'string', pattern: `^\\d{1,12}(${Array.from(units.keys()).join('|')})?$` },
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
  for (const [unit, factor] of Array.from(units).reverse()) {
    if (ms > 0 && ms % factor === 0) return `${ms / factor}${unit}`;
  }
  return `${ms}ms`;
}
