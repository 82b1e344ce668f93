import { CertificateError } from '../certificate-error.js';
import { DerReader, encoding } from '../der/der-reader.js';
import { Tag } from '../der/tag.js';

/** A subject alternative name. `other` has its tag and encoding in hex. */
export interface AlternativeName {
  readonly kind: 'uri' | 'dns' | 'email' | 'ip' | 'other';
  readonly value: string;
}

const textKinds: Readonly<Record<number, 'email' | 'dns' | 'uri'>> = {
  0x81: 'email',
  0x82: 'dns',
  0x86: 'uri',
};
const ipAddressTag = 0x87;

/** Parses the value of the extension subjectAltName. */
export function parseAlternativeNames(content: Uint8Array): readonly AlternativeName[] {
  const what = 'the subject alternative name';
  const outer = new DerReader(content);
  const reader = outer.inside(Tag.Sequence, what);
  outer.end(what);
  const names: AlternativeName[] = [];
  while (reader.next !== undefined) {
    const { tag, content: value, whole } = reader.any(what);
    const kind = textKinds[tag];
    if (kind !== undefined) names.push({ kind, value: visibleText(value, what) });
    else if (tag === ipAddressTag) names.push({ kind: 'ip', value: ipText(value, what) });
    else names.push({ kind: 'other', value: Buffer.from(whole).toString('hex') });
  }
  if (names.length === 0) throw new CertificateError('extension', `${what} is empty`);
  return names;
}

/** IA5String without spaces and control characters, which no URI, DNS name or address has. */
function visibleText(value: Uint8Array, what: string): string {
  const text = Buffer.from(value).toString('latin1');
  if (!/^[!-~]+$/.test(text))
    throw new CertificateError('name', `${what} is empty, or contains a character that is not visible ASCII`);
  return text;
}

function ipText(value: Uint8Array, what: string): string {
  const bytes = Buffer.from(value);
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw encoding(what, `an address of ${bytes.length} octets`);
  return (bytes.toString('hex').match(/.{4}/g) ?? []).join(':');
}
