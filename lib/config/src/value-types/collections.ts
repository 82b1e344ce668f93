import { describeToml, type TomlValue } from '../toml/toml-value.js';
import { expected, read, type Reading, type ValueSchema, type ValueType } from './value-type.js';

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

/** A list of texts that are checked together. In overrides they are separated by commas. */
export function listOfTexts<T extends string>(form: {
  readonly name: string;
  readonly what: string;
  /** Of an entry. */
  readonly items: ValueSchema;
  readonly fromTexts: (texts: readonly string[]) => Reading<readonly T[]>;
}): ValueType<readonly T[]> {
  const { name, what, items, fromTexts } = form;
  return {
    name,
    schema: { type: 'array', items, uniqueItems: true },
    fromToml(value) {
      if (value.kind !== 'array') return expected(what);
      const texts = value.items.flatMap((item) => (item.kind === 'string' ? [item.value] : []));
      return texts.length === value.items.length ? fromTexts(texts) : expected(what);
    },
    fromText: (text) => fromTexts(text.split(',')),
    write: (value) => `[${value.map((text) => JSON.stringify(text)).join(', ')}]`,
  };
}

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
