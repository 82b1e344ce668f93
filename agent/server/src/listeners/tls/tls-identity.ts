import type { Certificate } from '@kata-agent/x509';

/** The other end of a TLS connection, for rules. */
export interface TlsIdentity {
  readonly kind: 'tls';
  /** RFC 4514 text. */
  readonly subject: string;
  /** As in `peers`: `uri:spiffe://example/ops/alice`, `dns:ops.example`. */
  readonly sans: readonly string[];
  /** SHA-256 of the certificate: `sha256:HEX`. */
  readonly fingerprint: string;
}

/** Returns the fields of a certificate that rules can read. */
export function identityOf({ subjectText, alternativeNames, fingerprint }: Certificate): TlsIdentity {
  return {
    kind: 'tls',
    subject: subjectText,
    sans: alternativeNames.map(({ kind, value }) => `${kind}:${value}`),
    fingerprint: `sha256:${fingerprint}`,
  };
}
