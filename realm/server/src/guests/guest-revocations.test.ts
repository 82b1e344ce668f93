import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import {
  type Certificate,
  certificatePem,
  encodeName,
  makeCertificate,
  parseCertificate,
  subjectAltName,
} from '@kata-agent/x509';
import type { RevokedPeer } from '../store/revocations.js';
import { RevocationFilter, revokesRealm } from './guest-revocations.js';

interface Own {
  readonly pem: string;
  readonly certificate: Certificate;
  readonly pin: string;
}

function ownCertificate(): Own {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const bytes = makeCertificate(
    {
      issuer: encodeName([[{ type: 'CN', text: 'CA' }]]),
      subject: encodeName([[{ type: 'CN', text: 'server' }]]),
      notBefore: 0,
      notAfter: 2_000_000_000_000,
      publicKey,
      extensions: [subjectAltName([{ kind: 'dns', value: 'localhost' }])],
    },
    privateKey,
  );
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return {
    pem: certificatePem(bytes),
    certificate: parseCertificate(bytes),
    pin: `spki:sha256:${createHash('sha256').update(spki).digest('hex')}`,
  };
}

const own = ownCertificate();
const revoked = (change: Partial<RevokedPeer>): RevokedPeer => ({
  peer: '',
  serial: '',
  issuer: '',
  ...change,
});

test('a revocation names the realm by its key, its names, or its serial number in any form', () => {
  const { serial, issuerText: issuer } = own.certificate;
  for (const [what, expected] of [
    [{ peer: own.pin }, true],
    [{ peer: 'dns:localhost' }, true],
    [{ peer: 'cn:server' }, true],
    [{ serial, issuer }, true],
    [{ serial: `00${serial.toUpperCase()}`, issuer }, true],
    [{ peer: 'cn:eve' }, false],
    [{ peer: `spki:sha256:${'0'.repeat(64)}` }, false],
    [{ serial, issuer: 'CN=another CA' }, false],
    [{ serial: '1', issuer }, false],
  ] as const)
    assert.equal(revokesRealm(what, own.pem), expected, JSON.stringify(what));
});

test('one that names the realm is not sent to guests, is reported once, and decided again for another certificate', () => {
  let pem = own.pem;
  const alerts: string[] = [];
  const filter = new RevocationFilter({
    certificate: () => pem,
    names: revokesRealm,
    onOwn: () => alerts.push('own'),
  });
  const byKey = revoked({ peer: own.pin });
  const eve = revoked({ peer: 'cn:eve' });
  for (let times = 0; times < 3; times += 1)
    assert.deepEqual([filter.allows(byKey), filter.allows(eve)], [false, true]);
  assert.deepEqual(alerts, ['own']);
  pem = ownCertificate().pem;
  assert.equal(filter.allows(byKey), true);
  assert.equal(filter.allows(revoked({ peer: 'cn:server' })), false);
});
