import { createPublicKey } from 'node:crypto';
import { CertificateError } from '../certificate-error.js';
import { type CertificateFields, Oid, parseCertificateFields } from '../certificate/certificate-fields.js';
import { parseUsages } from '../certificate/parse-certificate.js';
import { decodeObjectIdentifier, Tag } from '../der/tag.js';
import { DerReader } from '../der/der-reader.js';
import { type NameConstraints, nameFault, parseNameConstraints } from './name-constraints.js';

const nameConstraintsOid = '2.5.29.30';

/** Critical extensions that do not refuse a certificate: others could restrict it in a way that is not known here. */
const handled: ReadonlySet<string> = new Set([
  Oid.KeyUsage,
  Oid.SubjectAltName,
  Oid.BasicConstraints,
  Oid.ExtendedKeyUsage,
  nameConstraintsOid,
  // Policies: OpenSSL compares none unless it is asked to.
  '2.5.29.32',
  '2.5.29.33',
  '2.5.29.36',
  '2.5.29.54',
  '2.5.29.31',
]);

/** Signatures with SHA-1 or MD5, which a TLS server of level 2 does not accept. */
const weakSignatures: ReadonlySet<string> = new Set([
  '1.2.840.113549.1.1.4',
  '1.2.840.113549.1.1.5',
  '1.2.840.10045.4.1',
  '1.2.840.10040.4.3',
]);

const minRsaBits = 2048;

/**
 * Returns what is wrong with a path of certificates whose signatures, names and dates are verified; undefined if nothing is: path
 * lengths, name constraints, usages, unknown critical extensions, weak signatures and keys, as OpenSSL decides in a TLS server of level 2
 * that verifies a client.
 *
 * @param path in DER: the client's first, that of the CA that is trusted last.
 */
export function pathFault(path: readonly Uint8Array[]): string | undefined {
  try {
    return faultOf(path.map(parseCertificateFields));
  } catch (error) {
    if (error instanceof CertificateError) return error.message;
    throw error;
  }
}

function faultOf(path: readonly CertificateFields[]): string | undefined {
  const constraints: readonly (NameConstraints | undefined)[] = path.map(({ extensions }) => {
    const value = extensions.get(nameConstraintsOid)?.value;
    return value === undefined ? undefined : parseNameConstraints(value);
  });
  let below = 0;
  for (const [index, certificate] of path.entries()) {
    const { extensions } = certificate;
    for (const [oid, { critical }] of extensions)
      if (critical && !handled.has(oid)) return `a certificate has the unknown critical extension ${oid}`;
    const fault = strengthFault(certificate, index === path.length - 1);
    if (fault !== undefined) return fault;
    const usages = extensions.get(Oid.ExtendedKeyUsage)?.value;
    if (usages !== undefined && !parseUsages(usages).includes(Oid.ClientAuth))
      return 'clientAuth is not among the usages of a certificate';
    if (index > 0) {
      const max = pathLengthOf(extensions.get(Oid.BasicConstraints)?.value);
      if (max !== undefined && below > max)
        return `an issuer allows ${max} CAs below it, and there are ${below}`;
      if (!isSelfIssued(certificate)) below += 1;
    }
    // A CA that has issued itself, as for a new key, has its own name.
    if (index > 0 && isSelfIssued(certificate)) continue;
    for (const above of constraints.slice(index + 1)) {
      const fault = above === undefined ? undefined : nameFault(certificate, above, index === 0);
      if (fault !== undefined) return fault;
    }
  }
  return undefined;
}

function isSelfIssued({ issuer, subject }: CertificateFields): boolean {
  return Buffer.compare(issuer, subject) === 0;
}

/** Returns pathLenConstraint of the extension basicConstraints; undefined if there is none. */
function pathLengthOf(value: Uint8Array | undefined): number | undefined {
  const what = 'the basic constraints';
  if (value === undefined) return undefined;
  const reader = new DerReader(value).inside(Tag.Sequence, what);
  reader.optional(Tag.Boolean, what);
  const length = reader.optional(Tag.Integer, what);
  reader.end(what);
  if (length === undefined) return undefined;
  if ((length.content[0] ?? 0x80) >= 0x80)
    throw new CertificateError('extension', `${what} have a wrong length`);
  // No path is as long as what needs more octets.
  return length.content.reduce((sum, octet) => Math.min(sum * 256 + octet, Number.MAX_SAFE_INTEGER / 512), 0);
}

function strengthFault({ algorithm, publicKey }: CertificateFields, isTrusted: boolean): string | undefined {
  const reader = new DerReader(algorithm).inside(Tag.Sequence, 'the signature algorithm');
  const oid = decodeObjectIdentifier(
    reader.value(Tag.ObjectIdentifier, 'the signature algorithm').content,
    'the signature algorithm',
  );
  // Nobody depends on how a CA that is trusted has signed itself.
  if (!isTrusted && weakSignatures.has(oid)) return 'a certificate is signed with SHA-1 or MD5';
  const { asymmetricKeyType, asymmetricKeyDetails } = createPublicKey({
    key: Buffer.from(publicKey),
    format: 'der',
    type: 'spki',
  });
  const bits = asymmetricKeyDetails?.modulusLength ?? minRsaBits;
  return (asymmetricKeyType === 'rsa' || asymmetricKeyType === 'rsa-pss') && bits < minRsaBits
    ? `a certificate has an RSA key of ${bits} bits`
    : undefined;
}
