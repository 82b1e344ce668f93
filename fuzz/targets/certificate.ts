import { generateKeyPairSync } from 'node:crypto';

import {
  CertificateError,
  encodeName,
  extendedKeyUsage,
  grantsPeer,
  makeCertificate,
  Oid,
  parseCertificate,
  parsePeerEntry,
  subjectAltName,
} from '@kata-agent/x509';

import { mutateBytes } from '../mutate.js';
import type { Target } from '../target.js';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const valid = makeCertificate(
  {
    issuer: encodeName([[{ type: 'CN', text: 'CA' }]]),
    subject: encodeName([[{ type: 'CN', text: 'auditor' }], [{ type: 'O', text: 'Example' }]]),
    notBefore: 0,
    notAfter: Date.UTC(2050, 0),
    publicKey,
    extensions: [
      extendedKeyUsage([Oid.ClientAuth]),
      subjectAltName([
        { kind: 'uri', value: 'spiffe://example/ops/alice' },
        { kind: 'dns', value: 'ops.example' },
      ]),
    ],
  },
  privateKey,
);
const entries = [
  'uri:spiffe://example/ops/*',
  'dns:ops.example',
  'cn:auditor',
  'subject:CN=auditor,O=Example',
].map(parsePeerEntry);

/** A client's certificate with changes in a few places, or random bytes. */
export const certificate: Target = {
  name: 'certificate',
  promise: 'no bytes make the parser of certificates fail otherwise than by its own error',
  run(random) {
    const bytes = random.once(8) ? random.bytes(random.below(400)) : mutateBytes(random, valid);
    try {
      const parsed = parseCertificate(bytes);
      for (const entry of entries) grantsPeer(entry, parsed);
    } catch (error) {
      if (!(error instanceof CertificateError)) throw error;
    }
    return undefined;
  },
};
