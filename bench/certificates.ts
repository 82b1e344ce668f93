import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  certificatePem,
  encodeName,
  type Extension,
  extendedKeyUsage,
  makeCertificate,
  Oid,
  subjectAltName,
} from '@kata-agent/x509';

/** A key and its certificate, as PEM. */
export interface Credentials {
  readonly cert: string;
  readonly key: string;
}

/** A CA of the benchmark. */
export interface Authority {
  /** PEM. */
  readonly pem: string;
  /** Signs a client. */
  client(commonName: string): Credentials;
  /** Signs a server at an IPv4 address. */
  server(ip: string): Credentials;
}

/** basicConstraints with CA:TRUE. */
const certificateAuthority: Extension = {
  oid: Oid.BasicConstraints,
  critical: true,
  value: Buffer.from('30030101ff', 'hex'),
};

const newKey = (): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** Creates a CA. Its certificates are valid for a day. */
export function createAuthority(): Authority {
  const own = newKey();
  const issuer = encodeName([[{ type: 'CN', text: 'bench CA' }]]);
  const sign = (subject: Uint8Array, publicKey: KeyObject, extensions: readonly Extension[]): string => {
    const validity = { notBefore: Date.UTC(2026, 0), notAfter: Date.now() + 86_400_000 };
    const content = { issuer, subject, ...validity, publicKey, extensions };
    return certificatePem(makeCertificate(content, own.privateKey));
  };
  const issue = (commonName: string, extensions: readonly Extension[]): Credentials => {
    const { privateKey, publicKey } = newKey();
    return {
      cert: sign(encodeName([[{ type: 'CN', text: commonName }]]), publicKey, extensions),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    };
  };
  return {
    pem: sign(issuer, own.publicKey, [certificateAuthority]),
    client: (commonName) => issue(commonName, [extendedKeyUsage([Oid.ClientAuth])]),
    server: (ip) =>
      issue('server', [extendedKeyUsage([Oid.ServerAuth]), subjectAltName([{ kind: 'ip', value: ip }])]),
  };
}
