import { formatPin, parsePin } from '@kata-agent/x509';
import { listOfTexts } from './list-of-texts.js';
import { expected, type Reading, read, type ValueType } from './value-type.js';

const what = 'a list of pins spki:sha256: and 64 hex digits, not empty and each once';

/** SPKI pins in lower case, of which a public key must have one. */
export const pins: ValueType<readonly string[]> = listOfTexts({
  name: what,
  what,
  items: { type: 'string', pattern: '^spki:sha256:[0-9a-fA-F]{64}$' },
  fromTexts,
});

function fromTexts(texts: readonly string[]): Reading<readonly string[]> {
  const valid = texts.map(parsePin).filter((hash) => hash !== undefined);
  const fits = valid.length > 0 && new Set(valid).size === texts.length;
  return fits ? read(valid.map(formatPin)) : expected(what);
}
