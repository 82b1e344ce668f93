import { generateKeyPair, type KeyObject } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import {
  type Certificate,
  certificatePem,
  type Extension,
  formatPin,
  makeSelfSigned,
  parseCertificate,
} from '@kata-agent/x509';

/** Not checked by our clients, which believe the pin alone; other TLS libraries demand a name. */
const commonName = 'kata-agent';

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

/** Returns the exporter of a TLS connection (RFC 9266: 32 bytes, an empty context), in hex. */
export function channelBinding(stream: TLSSocket): string {
  return stream.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0)).toString('hex');
}

/** The key and certificate of the agent, made in memory at start (S26). */
export interface OwnIdentity {
  /** PKCS #8 as PEM. */
  readonly key: string;
  /** PEM. */
  readonly certificate: string;
  /** The pin that a client checks: `spki:sha256:HEX`. */
  readonly pin: string;
}

interface OwnIdentityOptions {
  /** The floor of the clock, in milliseconds of the epoch: the certificate is valid from then on. */
  readonly clockFloor: number;
  /** Further extensions, such as evidence. */
  readonly extensions?: readonly Extension[];
}

/** Makes a P-256 key and its certificate. Both are new with every start. */
export async function makeOwnIdentity(options: OwnIdentityOptions): Promise<OwnIdentity> {
  const { privateKey }: { privateKey: KeyObject } = await promisify(generateKeyPair)('ec', {
    namedCurve: 'P-256',
  });
  const certificate = makeSelfSigned({
    key: privateKey,
    commonName,
    alternativeNames: [{ kind: 'dns', value: commonName }],
    notBefore: options.clockFloor,
    ...(options.extensions === undefined ? {} : { extensions: options.extensions }),
  });
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate: certificatePem(certificate),
    pin: formatPin(parseCertificate(certificate).spki),
  };
}
