import { expected, read, type ValueType } from './value-type.js';

/** A list with entries of one type; undefined: not set. In overrides, entries are separated by commas. */
export function listOf(entry: ValueType<string>, name: string): ValueType<readonly string[]> {
  const what = `a list of texts in quotes, each ${entry.name}`;
  return {
    name,
    schema: { type: 'array', items: entry.schema },
    fromToml(value) {
      if (value.kind !== 'array') return expected(what);
      const entries: string[] = [];
      for (const item of value.items) {
        const reading = entry.fromToml(item);
        if (!reading.ok) return reading;
        entries.push(reading.value);
      }
      return read(entries);
    },
    fromText(text) {
      const entries: string[] = [];
      for (const word of text === '' ? [] : text.split(',')) {
        const reading = entry.fromText(word);
        if (!reading.ok) return reading;
        entries.push(reading.value);
      }
      return read(entries);
    },
    write: (value) => `[${value.map((text) => JSON.stringify(text)).join(', ')}]`,
  };
}
