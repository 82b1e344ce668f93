import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import {
  certificatePem,
  type Extension,
  formatPin,
  makeSelfSigned,
  parseCertificate,
} from '@kata-agent/x509';

/** The key and certificate of the agent, made in memory at start (S26). */
export interface OwnIdentity {
  /** PKCS #8 as PEM. */
  readonly key: string;
  /** PEM. */
  readonly certificate: string;
  /** The pin that a client checks: `spki:sha256:HEX`. */
  readonly pin: string;
}

export interface OwnIdentityOptions {
  /** The floor of the clock, in milliseconds of the epoch: the certificate is valid from then on. */
  readonly clockFloor: number;
  /** Further extensions, such as evidence. */
  readonly extensions?: readonly Extension[];
}

/** Not checked by our clients, which believe the pin alone; other TLS libraries demand a name. */
const name = 'kata-agent';

/** Makes a P-256 key and its certificate. Both are new with every start. */
export async function makeOwnIdentity(options: OwnIdentityOptions): Promise<OwnIdentity> {
  const { privateKey }: { privateKey: KeyObject } = await promisify(generateKeyPair)('ec', {
    namedCurve: 'P-256',
  });
  const certificate = makeSelfSigned({
    key: privateKey,
    commonName: name,
    alternativeNames: [{ kind: 'dns', value: name }],
    notBefore: options.clockFloor,
    ...(options.extensions === undefined ? {} : { extensions: options.extensions }),
  });
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate: certificatePem(certificate),
    pin: formatPin(parseCertificate(certificate).spki),
  };
}
