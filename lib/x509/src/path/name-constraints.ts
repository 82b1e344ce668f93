import { CertificateError } from '../certificate-error.js';
import { type CertificateFields, Oid } from '../certificate/certificate-fields.js';
import { DerReader, type DerValue } from '../der/der-reader.js';
import { Tag } from '../der/tag.js';
import { type DistinguishedName, parseWholeName } from '../name/distinguished-name.js';

/** A GeneralName (RFC 5280, 4.2.1.6): its tag and its content. */
type GeneralName = Pick<DerValue, 'tag' | 'content'>;

/** What an issuer allows in the names of certificates below it (RFC 5280, 4.2.1.10). */
export interface NameConstraints {
  readonly permitted: readonly GeneralName[];
  readonly excluded: readonly GeneralName[];
}

const permittedTag = 0xa0;
const excludedTag = 0xa1;
const general = { email: 0x81, dns: 0x82, directory: 0xa4, uri: 0x86, ip: 0x87 } as const;
const emailAddressOid = '1.2.840.113549.1.9.1';
const commonNameOid = '2.5.4.3';

/** Parses the value of the extension. Throws a CertificateError. */
export function parseNameConstraints(value: Uint8Array): NameConstraints {
  const what = 'the name constraints';
  const outer = new DerReader(value);
  const reader = outer.inside(Tag.Sequence, what);
  outer.end(what);
  const permitted = subtreesOf(reader.optional(permittedTag, what)?.content);
  const excluded = subtreesOf(reader.optional(excludedTag, what)?.content);
  reader.end(what);
  return { permitted, excluded };
}

function subtreesOf(content: Uint8Array | undefined): readonly GeneralName[] {
  const what = 'the name constraints';
  if (content === undefined) return [];
  const reader = new DerReader(content);
  const found: GeneralName[] = [];
  while (reader.next !== undefined) {
    const subtree = reader.inside(Tag.Sequence, what);
    found.push(subtree.any(what));
    // A minimum or maximum, which OpenSSL does not accept either.
    subtree.end(what);
  }
  return found;
}

/**
 * Returns how the names of a certificate violate constraints, as OpenSSL decides (NAME_CONSTRAINTS_check); undefined if they do not.
 *
 * @param isLast the certificate issues no other: a common name that is a DNS name counts where there is no alternative one.
 */
export function nameFault(
  { subject, extensions }: Pick<CertificateFields, 'subject' | 'extensions'>,
  { permitted, excluded }: NameConstraints,
  isLast: boolean,
): string | undefined {
  for (const name of namesOf(subject, extensions.get(Oid.SubjectAltName)?.value, isLast)) {
    const same = ({ tag }: GeneralName): boolean => tag === name.tag;
    const allowed = permitted.filter(same);
    if (allowed.length > 0 && !allowed.some((base) => isWithin(name, base)))
      return 'a name is not permitted by the name constraints of an issuer';
    if (excluded.filter(same).some((base) => isWithin(name, base)))
      return 'a name is excluded by the name constraints of an issuer';
  }
  return undefined;
}

function namesOf(
  subject: Uint8Array,
  alternatives: Uint8Array | undefined,
  isLast: boolean,
): readonly GeneralName[] {
  const what = 'the subject alternative name';
  const found: GeneralName[] = [];
  const attributes = parseWholeName(subject, 'the subject').flat();
  if (attributes.length > 0) found.push({ tag: general.directory, content: subject });
  for (const { oid, value } of attributes)
    if (oid === emailAddressOid) found.push({ tag: general.email, content: value });
  if (alternatives !== undefined) {
    const reader = new DerReader(alternatives).inside(Tag.Sequence, what);
    while (reader.next !== undefined) found.push(reader.any(what));
  }
  if (isLast && !found.some(({ tag }) => tag === general.dns))
    for (const { oid, text = '' } of attributes)
      if (oid === commonNameOid && /^[\w:-]+(\.[\w:-]+)+$/.test(text))
        found.push({ tag: general.dns, content: Buffer.from(text, 'latin1') });
  return found;
}

/** Reports whether a name is in a subtree of its own form. Throws a CertificateError for what cannot be compared. */
function isWithin(name: GeneralName, base: GeneralName): boolean {
  switch (name.tag) {
    case general.directory:
      return isBelow(directoryOf(name.content), directoryOf(base.content));
    case general.dns:
      return isDnsWithin(textOf(name), textOf(base));
    case general.email:
      return isEmailWithin(textOf(name), textOf(base));
    case general.uri:
      return isHostWithin(hostOf(textOf(name)), textOf(base).toLowerCase());
    case general.ip:
      return isAddressWithin(name.content, base.content);
    default:
      throw new CertificateError(
        'extension',
        `name constraints of a form that is not compared (tag ${name.tag})`,
      );
  }
}

function textOf({ content }: GeneralName): string {
  return Buffer.from(content).toString('latin1');
}

/** A directory name is explicitly tagged in a GeneralName; a subject is not. */
function directoryOf(content: Uint8Array): DistinguishedName {
  return parseWholeName(content, 'a directory name');
}

function isBelow(name: DistinguishedName, base: DistinguishedName): boolean {
  const canonical = (names: DistinguishedName): readonly string[] =>
    names.map((attributes) =>
      attributes
        .map(
          ({ oid, text, whole }) =>
            `${oid}=${text === undefined ? Buffer.from(whole).toString('hex') : canonicalText(text)}`,
        )
        .join('+'),
    );
  const [own, above] = [canonical(name), canonical(base)];
  return above.length <= own.length && above.every((part, index) => own[index] === part);
}

function canonicalText(text: string): string {
  return text
    .trim()
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function isDnsWithin(name: string, base: string): boolean {
  const [own, above] = [name.toLowerCase(), base.toLowerCase()];
  if (!own.endsWith(above)) return false;
  const rest = own.slice(0, own.length - above.length);
  return rest === '' || above === '' || above.startsWith('.') || rest.endsWith('.');
}

function isEmailWithin(name: string, base: string): boolean {
  if (base.startsWith('.'))
    return name.length > base.length && name.toLowerCase().endsWith(base.toLowerCase());
  const [local, host, ...more] = splitAtLast(name);
  if (host === undefined || more.length > 0)
    throw new CertificateError('name', 'an e-mail address without @ cannot be compared');
  const at = base.lastIndexOf('@');
  if (at >= 0 && base.slice(0, at) !== '' && base.slice(0, at) !== local) return false;
  return host.toLowerCase() === base.slice(at + 1).toLowerCase();
}

function splitAtLast(address: string): readonly (string | undefined)[] {
  const at = address.lastIndexOf('@');
  return at < 0 ? [address] : [address.slice(0, at), address.slice(at + 1)];
}

function hostOf(uri: string): string {
  const host = /^[^:]*:\/\/([^:/]+)/.exec(uri)?.[1];
  if (host === undefined) throw new CertificateError('name', 'a URI without a host cannot be compared');
  return host.toLowerCase();
}

function isHostWithin(host: string, base: string): boolean {
  return base.startsWith('.') ? host.length > base.length && host.endsWith(base) : host === base;
}

function isAddressWithin(address: Uint8Array, base: Uint8Array): boolean {
  if (![8, 32].includes(base.length) || ![4, 16].includes(address.length))
    throw new CertificateError('name', 'an address of a wrong length cannot be compared');
  if (base.length !== address.length * 2) return false;
  return address.every((octet, index) => {
    const mask = base[address.length + index] ?? 0;
    return (octet & mask) === ((base[index] ?? 0) & mask);
  });
}
