import type { LimitSettings, ListenerLimits } from '../configuration.js';
import { limitSettings } from '../settings/limit-settings.js';
import { describeToml, type TomlValue } from '../toml/toml-value.js';
import { expected, type Reading, read, type ValueType } from '../value-types/value-type.js';

/** A limit that a listener can have of its own, and the key of `[limits]` that applies without it. */
interface LimitRow {
  readonly key: string;
  readonly type: ValueType<number>;
  readonly shared: keyof LimitSettings;
}

/** The keys of a listener's `limits`. A later limit is one more row. */
export const listenerLimitRows: { readonly [P in keyof ListenerLimits]: LimitRow } = {
  connections: {
    key: limitSettings.connections.key,
    type: limitSettings.connections.type,
    shared: 'connections',
  },
};

const rows = Object.entries<LimitRow>(listenerLimitRows);
const keys = rows.map(([, { key }]) => key).join(', ');
const what = `a table with ${keys}`;
const example = '{ connections = 16 }';

/** The limits of a listener, a table: those that are absent are as in `[limits]`. */
export const listenerLimits: ValueType<Partial<ListenerLimits>> = {
  name: `table with ${keys}`,
  schema: {
    type: 'object',
    additionalProperties: false,
    minProperties: 1,
    properties: Object.fromEntries(rows.map(([, { key, type }]) => [key, type.schema])),
  },
  fromToml(value) {
    return value.kind === 'table' ? fromTable(value.entries) : expected(what);
  },
  fromText: () => expected(what),
  write(limits) {
    const written = rows.flatMap(([property, { key, type }]) => {
      const value = limits[property as keyof ListenerLimits];
      return value === undefined ? [] : [`${key} = ${type.write(value)}`];
    });
    return `{ ${written.join(', ')} }`;
  },
};

function fromTable(
  entries: ReadonlyMap<string, { readonly value: TomlValue }>,
): Reading<Partial<ListenerLimits>> {
  const limits: Record<string, number> = {};
  for (const [key, { value }] of entries) {
    const row = rows.find(([, { key: known }]) => known === key);
    if (row === undefined)
      return wrong(`one with the unknown key ${JSON.stringify(key)}`, `for example: limits = ${example}`);
    const [property, { type }] = row;
    const reading = type.fromToml(value);
    if (!reading.ok)
      return wrong(`one with ${key} = ${describeToml(value)}`, `${key} is ${reading.expected}`);
    limits[property] = reading.value;
  }
  return entries.size === 0 ? wrong('an empty one', `for example: limits = ${example}`) : read(limits);
}

function wrong<T>(found: string, help: string): Reading<T> {
  return { ok: false, expected: what, found, help };
}
