import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type CertificateContent,
  certificatePem,
  encodeName,
  type Extension,
  extendedKeyUsage,
  keyUsage,
  makeCertificate,
  Oid,
  parseCertificate,
  subjectAltName,
} from '@kata-agent/x509';

const dayMs = 86_400_000;
const caConstraints: Extension = {
  oid: Oid.BasicConstraints,
  critical: true,
  value: Buffer.from('30030101ff', 'hex'),
};
const signsCertificatesAndLists = keyUsage(0x06, 1);

/** What differs from a valid client certificate. */
export interface ClientChange extends Partial<Omit<CertificateContent, 'subject' | 'extensions'>> {
  readonly commonNames?: readonly string[];
  readonly uris?: readonly string[];
  /** Names of a server. */
  readonly dns?: readonly string[];
  /** IPv4 addresses of a server. */
  readonly ips?: readonly string[];
  /** null: without the extension. */
  readonly usages?: readonly string[] | null;
  readonly key?: { readonly privateKey: KeyObject; readonly publicKey: KeyObject };
}

export interface ClientCertificate {
  readonly key: string;
  readonly cert: string;
  readonly serial: () => string;
  readonly spki: () => string;
}

const newKey = (): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

/** A CA that signs clients and servers. */
export class Authority {
  readonly pem: string;
  readonly #key = newKey();
  readonly #name: Uint8Array;

  constructor(name = 'test CA', notAfter: number = Date.now() + 1000 * dayMs) {
    this.#name = encodeName([[{ type: 'CN', text: name }]]);
    const content = {
      issuer: this.#name,
      subject: this.#name,
      notBefore: Date.UTC(2020, 0),
      notAfter,
      publicKey: this.#key.publicKey,
      extensions: [caConstraints, signsCertificatesAndLists],
    };
    this.pem = certificatePem(makeCertificate(content, this.#key.privateKey));
  }

  client(change: ClientChange = {}): ClientCertificate {
    const {
      commonNames = ['auditor'],
      uris = [],
      dns = [],
      ips = [],
      usages = [Oid.ClientAuth],
      key = newKey(),
      ...rest
    } = change;
    const names = [
      ...uris.map((value) => ({ kind: 'uri', value }) as const),
      ...dns.map((value) => ({ kind: 'dns', value }) as const),
      ...ips.map((value) => ({ kind: 'ip', value }) as const),
    ];
    const bytes = makeCertificate(
      {
        issuer: this.#name,
        subject: encodeName(commonNames.map((text) => [{ type: 'CN', text }])),
        notBefore: Date.UTC(2020, 0),
        notAfter: Date.now() + dayMs,
        publicKey: key.publicKey,
        extensions: [
          ...(usages === null ? [] : [extendedKeyUsage(usages)]),
          ...(names.length === 0 ? [] : [subjectAltName(names)]),
        ],
        ...rest,
      },
      this.#key.privateKey,
    );
    return {
      key: pemOf(key.privateKey),
      cert: certificatePem(bytes),
      // Not all are valid.
      serial: () => parseCertificate(bytes).serial,
      spki: () => parseCertificate(bytes).spki,
    };
  }

  /** The certificate of a server of these names. */
  server(dns: readonly string[], change: ClientChange = {}): ClientCertificate {
    return this.client({ commonNames: ['server'], usages: [Oid.ServerAuth], dns, ...change });
  }

  /** A certificate revocation list with these serial numbers, valid for `days`. */
  revocationList(serials: readonly string[], validity: readonly string[] = ['-crldays', '30']): string {
    const directory = mkdtempSync(join(tmpdir(), 'kata-crl-'));
    try {
      const at = (name: string): string => join(directory, name);
      const even = (hex: string): string => (hex.length % 2 === 0 ? hex : `0${hex}`).toUpperCase();
      const rows = serials.map(
        (serial) => `R\t401231235959Z\t260101000000Z\t${even(serial)}\tunknown\t/CN=x\n`,
      );
      writeFileSync(at('index.txt'), rows.join(''));
      writeFileSync(at('ca.key'), pemOf(this.#key.privateKey));
      writeFileSync(at('ca.pem'), this.pem);
      writeFileSync(
        at('config'),
        `[ca]\ndefault_ca = own\n[own]\ndatabase = ${at('index.txt')}\ndefault_md = sha256\n`,
      );
      const files = [
        '-config',
        at('config'),
        '-keyfile',
        at('ca.key'),
        '-cert',
        at('ca.pem'),
        '-out',
        at('crl'),
      ];
      const { status, stderr } = spawnSync('openssl', ['ca', '-gencrl', ...validity, ...files], {
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(`openssl: ${stderr}`);
      return readFileSync(at('crl'), 'utf8');
    } finally {
      rmSync(directory, { recursive: true });
    }
  }
}
