import { quote } from '../diagnostics/display-text.js';
import { nearest } from '../diagnostics/misspelled-name.js';
import type { TomlTable, TomlValue } from '../toml/toml-value.js';
import { listOfTexts } from './collections.js';
import { entryName } from './text.js';
import { expected, type Reading, read, type ValueType } from './value-type.js';

/** For documents that set nothing. */
export const nothingMaySet: MaySet = { names: new Set() };

/** The keys of a listener that `may_set` can name. */
const settableKeys = [
  'address',
  'peers',
  'tls.client_ca',
  'tls.client_crl',
  'tls.server_ca',
  'tls.pins',
] as const;

export type SettableKey = (typeof settableKeys)[number];

/** A key that `may_set` names. */
interface Settable {
  readonly listener: string;
  readonly key: SettableKey;
}

/** Returns the listener and the key of a name; undefined for any other text. A listener's name can have dots. */
export function parseSettable(text: string): Settable | undefined {
  const rest = /^listener\.(.*)$/s.exec(text)?.[1];
  const key = settableKeys.find((each) => rest?.endsWith(`.${each}`));
  if (rest === undefined || key === undefined) return undefined;
  const listener = rest.slice(0, -key.length - 1);
  return entryName.fromText(listener).ok ? { listener, key } : undefined;
}

/** The name of a key in `may_set`. */
export function settableName(listener: string, key: SettableKey): string {
  return `listener.${listener}.${key}`;
}

/** The only name that is not a key of a listener. */
export const signaturesName: string = 'image.signatures';

const what = 'a list of keys such as "listener.tenant.peers", each once';
const keysText = [...settableKeys.map((key) => `listener.NAME.${key}`), signaturesName].join(', ');

function fromTexts(texts: readonly string[]): Reading<readonly string[]> {
  const unknown = texts.find((text) => text !== signaturesName && parseSettable(text) === undefined);
  if (unknown !== undefined) {
    const near = nearest(
      unknown,
      settableKeys.map((key) => settableName(unknown.split('.')[1] ?? '', key)),
    );
    const help = near === undefined ? `it can name ${keysText}` : `did you mean "${near}"?`;
    return { ok: false, expected: what, found: `one with ${quote(unknown)}`, help };
  }
  const twice = texts.find((text, index) => texts.indexOf(text) !== index);
  return twice === undefined ? read(texts) : expected(what, `remove one ${quote(twice)}`);
}

/** Keys that the base document leaves to a delivered document. */
export const settableNames: ValueType<readonly string[]> = listOfTexts({
  name: what,
  what,
  items: {
    type: 'string',
    pattern: `^(listener\\.[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\\.(${settableKeys.map((key) => key.replace('.', '\\.')).join('|')})|${signaturesName.replace('.', '\\.')})$`,
  },
  fromTexts,
});

/** What `may_set` of the base document means for one document. */
export interface MaySet {
  readonly names: ReadonlySet<string>;
  /** How a further document is bound, if that is too weak for it to set anything. */
  readonly weaklyBound?: string;
}

/** Returns the keys of a listener that `may_set` names. */
export function settableOf({ names }: MaySet, listener: string): ReadonlySet<SettableKey> {
  return new Set(settableKeys.filter((key) => names.has(settableName(listener, key))));
}

/** Returns the keys of `may_set` for the listener of a table, whose name may be missing or wrong. */
export function settableIn(maySet: MaySet, table: TomlTable): ReadonlySet<SettableKey> {
  const name: TomlValue | undefined = table.entries.get('name')?.value;
  return name?.kind === 'string' ? settableOf(maySet, name.value) : new Set();
}
