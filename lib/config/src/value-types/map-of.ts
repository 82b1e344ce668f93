import type { TomlValue } from '../toml/toml-value.js';
import { expected, type Reading, read, type ValueType } from './value-type.js';

/** A table whose keys are names of one type, and its values of another; empty: not set. */
export function mapOf<T>(
  keyType: ValueType<string>,
  valueType: ValueType<T>,
  example: string,
): ValueType<Readonly<Record<string, T>>> {
  const what = `a table, ${example}`;
  const fromTable = (
    entries: ReadonlyMap<string, { readonly value: TomlValue }>,
  ): Reading<Readonly<Record<string, T>>> => {
    const map: [string, T][] = [];
    for (const [key, { value }] of entries) {
      const name = keyType.fromText(key);
      if (!name.ok) return name;
      const reading = valueType.fromToml(value);
      if (!reading.ok) return reading;
      map.push([key, reading.value]);
    }
    return read(Object.fromEntries(map));
  };
  return {
    name: `table of ${keyType.name} and ${valueType.name}`,
    schema: { type: 'object', additionalProperties: valueType.schema },
    fromToml: (value) => (value.kind === 'table' ? fromTable(value.entries) : expected(what)),
    fromText: () => expected(what),
    write: (map) => {
      const entries = Object.entries(map).map(
        ([key, value]) => `${JSON.stringify(key)} = ${valueType.write(value)}`,
      );
      return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
    },
  };
}
