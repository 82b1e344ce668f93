import type { Signer } from '@sigstore/verify';
import { contextTag, der, objectIdentifier, sequence, Tag } from '@kata-agent/x509';
import type { SignerIdentity } from './keyless-settings.js';

type Extensions = NonNullable<NonNullable<Signer['identity']>['oids']>;

const oids = {
  subjectAltName: '2.5.29.17',
  extendedKeyUsage: '2.5.29.37',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  /** Fulcio's: the issuer as a UTF8String. */
  issuer: '1.3.6.1.4.1.57264.1.8',
} as const;
const generalName = { email: 1, uri: 6 } as const;

/**
 * Returns the one of the identities that a verified certificate has, or why there is none. The certificate must have exactly one
 * name. Extensions are compared as DER: the library's text of a name drops the high bit of each byte, and its policy takes a name
 * for a regular expression.
 */
export function identityOf(
  { identity }: Signer,
  identities: readonly SignerIdentity[],
): SignerIdentity | string {
  const extensions = identity?.oids ?? [];
  if (!extensionIs(extensions, oids.extendedKeyUsage, sequence(objectIdentifier(oids.codeSigning))))
    return 'by a certificate that is not for code signing';
  return (
    identities.find(
      ({ issuer, subject }) =>
        extensionIs(extensions, oids.issuer, der(Tag.Utf8String, Buffer.from(issuer))) &&
        Object.values(generalName).some((kind) =>
          extensionIs(extensions, oids.subjectAltName, nameOf(kind, subject)),
        ),
    ) ?? 'by another identity or issuer'
  );
}

function nameOf(kind: number, text: string): Uint8Array {
  return sequence(der(contextTag(kind, 'primitive'), Buffer.from(text)));
}

/** Reports whether there is one extension with this identifier, and it has this value. */
function extensionIs(extensions: Extensions, oid: string, value: Uint8Array): boolean {
  const [first, ...more] = extensions.filter((extension) => extension.oid?.id.join('.') === oid);
  return first !== undefined && more.length === 0 && Buffer.from(first.value).equals(value);
}
