import type { TomlTable, TomlValue } from '../toml/toml-value.js';
import { type SettableKey, settableKeys, settableName } from '../value-types/may-set.js';

/** What `may_set` of the base document means for one document. */
export interface MaySet {
  readonly names: ReadonlySet<string>;
  /** How a further document is bound, if that is too weak for it to set anything. */
  readonly weaklyBound?: string;
}

/** For documents that set nothing. */
export const nothingMaySet: MaySet = { names: new Set() };

/** Returns the keys of a listener that `may_set` names. */
export function settableOf({ names }: MaySet, listener: string): ReadonlySet<SettableKey> {
  return new Set(settableKeys.filter((key) => names.has(settableName(listener, key))));
}

/** Returns the keys of `may_set` for the listener of a table, whose name may be missing or wrong. */
export function settableIn(maySet: MaySet, table: TomlTable): ReadonlySet<SettableKey> {
  const name: TomlValue | undefined = table.entries.get('name')?.value;
  return name?.kind === 'string' ? settableOf(maySet, name.value) : new Set();
}
