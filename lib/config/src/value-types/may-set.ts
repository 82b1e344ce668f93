import { quote } from '../diagnostics/display-text.js';
import { nearest } from '../diagnostics/nearest.js';
import { listOfTexts } from './list-of-texts.js';
import { entryName } from './name.js';
import { expected, type Reading, read, type ValueType } from './value-type.js';

/** The keys of a listener that `may_set` can name. */
export const settableKeys = [
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
