import { formatPin, parsePin } from '@kata-agent/x509';
import { expected, read, type ValueType } from './value-type.js';

const what = 'a list of pins spki:sha256: and 64 hex digits, not empty and each once';

/** SPKI pins in lower case, of which a public key must have one. */
export const pins: ValueType<readonly string[]> = {
  name: what,
  schema: {
    type: 'array',
    items: { type: 'string', pattern: '^spki:sha256:[0-9a-fA-F]{64}$' },
    uniqueItems: true,
  },
  fromToml(value) {
    if (value.kind !== 'array') return expected(what);
    const hashes = value.items.flatMap((item) => (item.kind === 'string' ? [parsePin(item.value)] : []));
    const written = hashes.flatMap((hash) => (hash === undefined ? [] : [formatPin(hash)]));
    const fits = written.length > 0 && new Set(written).size === value.items.length;
    return fits ? read(written) : expected(what);
  },
  fromText: () => expected(what),
  write: (value) => `[${value.map((pin) => JSON.stringify(pin)).join(', ')}]`,
};
