import { dialAddress } from './dial-address.js';
import { entryName } from './name.js';
import { text } from './text.js';
import type { ValueType } from './value-type.js';

/** Reports whether `via` of a witness is an address, and not the name of a listener. */
export function isAddress(via: string): boolean {
  return via.includes(':');
}

/** How a witness is reached. */
export const witnessVia: ValueType<string> = text({
  name: 'name of a listener, or https:// address',
  pattern: '^(https://.+|[A-Za-z0-9][A-Za-z0-9_.-]*)$',
  what: 'the name of a listener that dials, or an address such as "https://witness.example/prefix", in lower case and without user, query, fragment and percent signs',
  accept: (via) => (isAddress(via) ? dialAddress(via) !== undefined : entryName.fromText(via).ok),
});
