import { expected, type Reading, read, type ValueType } from './value-type.js';

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
