import { describeToml, type TomlValue } from '../toml/toml-value.js';
import { expected, type Reading, read, type ValueType } from './value-type.js';

/** A key of an inline table, and the property that has its value. */
interface TableRow<T> {
  readonly key: string;
  readonly type: ValueType<T>;
}

/** The rows of a table; every key can be left out. */
export type TableRows<T extends object> = { readonly [P in keyof T]-?: TableRow<Exclude<T[P], undefined>> };

/**
 * An inline table whose keys have types of their own, not empty.
 *
 * @param complete returns what a table lacks or has too much; undefined for a valid one.
 */
export function tableOf<T extends object>(
  rows: TableRows<T>,
  example: string,
  complete: (table: Partial<T>) => string | undefined = () => undefined,
): ValueType<Partial<T>> {
  const all = Object.entries<TableRow<unknown>>(rows as Record<string, TableRow<unknown>>);
  const keys = all.map(([, { key }]) => key).join(', ');
  const what = `a table with ${keys}`;
  const help = `for example: ${example}`;
  const fromTable = (entries: ReadonlyMap<string, { readonly value: TomlValue }>): Reading<Partial<T>> => {
    const table: Record<string, unknown> = {};
    for (const [key, { value }] of entries) {
      const row = all.find(([, { key: known }]) => known === key);
      if (row === undefined) return wrong(what, `one with the unknown key ${JSON.stringify(key)}`, help);
      const [property, { type }] = row;
      const reading = type.fromToml(value);
      if (!reading.ok)
        return wrong(
          what,
          `one with ${key} = ${reading.found ?? describeToml(value)}`,
          `${key} is ${reading.expected}`,
        );
      table[property] = reading.value;
    }
    if (entries.size === 0) return wrong(what, 'an empty one', help);
    const fault = complete(table as Partial<T>);
    return fault === undefined ? read(table as Partial<T>) : wrong(what, `one ${fault}`, help);
  };
  return {
    name: `table with ${keys}`,
    schema: {
      type: 'object',
      additionalProperties: false,
      minProperties: 1,
      properties: Object.fromEntries(all.map(([, { key, type }]) => [key, type.schema])),
    },
    fromToml: (value) => (value.kind === 'table' ? fromTable(value.entries) : expected(what)),
    fromText: () => expected(what),
    write(table) {
      const written = all.flatMap(([property, { key, type }]) => {
        const value = table[property as keyof T];
        return value === undefined ? [] : [`${key} = ${type.write(value)}`];
      });
      return `{ ${written.join(', ')} }`;
    },
  };
}

function wrong<T>(what: string, found: string, help: string): Reading<T> {
  return { ok: false, expected: what, found, help };
}
