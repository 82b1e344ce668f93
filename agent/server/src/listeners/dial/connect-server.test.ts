import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import {
  type AlternativeName,
  encodeName,
  makeCertificate,
  parseCertificate,
  subjectAltName,
} from '@kata-agent/x509';
import { authenticateServer } from './connect-server.js';
import { DialFailure } from './dial-failure.js';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

function certificateOf(
  commonName: string,
  names: readonly Pick<AlternativeName, 'kind' | 'value'>[],
): Uint8Array {
  return makeCertificate(
    {
      issuer: encodeName([[{ type: 'CN', text: 'CA' }]]),
      subject: encodeName([[{ type: 'CN', text: commonName }]]),
      notBefore: 1_000_000,
      notAfter: 2_000_000,
      publicKey,
      extensions: names.length === 0 ? [] : [subjectAltName(names)],
    },
    privateKey,
  );
}

const certificate = certificateOf('other', [{ kind: 'dns', value: 'realm.example' }]);
const pin = `spki:sha256:${parseCertificate(certificate).spki}`;
const handshake = { authorized: true, resumed: false, alpnProtocol: 'http/1.1', certificate };
const expected = {
  host: 'realm.example',
  pins: [] as readonly string[],
  now: 1_500_000,
};

test('a server of the CA, with its name and key, is accepted', () => {
  for (const pins of [[], [pin], [`spki:sha256:${'0'.repeat(64)}`, pin]])
    assert.equal(authenticateServer(handshake, { ...expected, pins }).subjectText, 'CN=other');
  // A server without ALPN speaks HTTP/1.1.
  assert.ok(authenticateServer({ ...handshake, alpnProtocol: false }, expected));
});

for (const [what, change, other, expectedText, known] of [
  ['that no CA has signed', { authorized: false }, {}, /no CA of server_ca/, false],
  ['without a certificate', { certificate: undefined }, {}, /no CA of server_ca/, false],
  ['with a certificate that is not DER', { certificate: certificate.subarray(1) }, {}, /not valid/, false],
  ['that resumes a session', { resumed: true }, {}, /resumed/, false],
  ['of HTTP/2', { alpnProtocol: 'h2' }, {}, /ALPN/, false],
  ['of another name', {}, { host: 'a.realm.example' }, /does not name a\.realm\.example/, false],
  ['of an IP address', {}, { host: '192.0.2.1' }, /does not name 192/, false],
  ['with the name as common name', {}, { host: 'other' }, /does not name other/, false],
  [
    'with the common name alone',
    { certificate: certificateOf('realm.example', []) },
    {},
    /does not name realm/,
    false,
  ],
  [
    'with names of too many characters',
    { certificate: certificateOf('x'.repeat(5_000), [{ kind: 'dns', value: 'realm.example' }]) },
    {},
    /at most 4096/,
    false,
  ],
  ['before its time', {}, { now: 999_999 }, /not yet valid/, true],
  ['after its time', {}, { now: 2_000_000 }, /expired/, true],
  ['with another key', {}, { pins: [`spki:sha256:${'0'.repeat(64)}`] }, /not in pins/, true],
] as const)
  test(`a server ${what} is refused`, () => {
    assert.throws(
      () => authenticateServer({ ...handshake, ...change }, { ...expected, ...other }),
      (error: unknown) =>
        error instanceof DialFailure &&
        error.refused &&
        expectedText.test(error.message) &&
        (error.certificate !== undefined) === known,
    );
  });
