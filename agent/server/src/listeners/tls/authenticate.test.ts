import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { makeSelfSigned, parsePeerEntries } from '@kata-agent/x509';
import { alpnProtocol, authenticate } from './authenticate.js';

const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const certificate = makeSelfSigned({ key, commonName: 'a', alternativeNames: [], notBefore: 0 });
const handshake = { alpnProtocol, resumed: false, certificate };
const expected = { peers: [parsePeerEntries(['*'])], isRevoked: () => false, now: 1 };

describe('after the handshake', () => {
  it('a client is accepted by its certificate', () => {
    const { refused, certificate } = authenticate(handshake, expected);
    assert.equal(refused, undefined);
    assert.equal(certificate?.subjectText, 'CN=a');
  });

  it('a resumed session is refused: OpenSSL has verified nothing', () => {
    assert.equal(authenticate({ ...handshake, resumed: true }, expected).refused?.reason, 'resumed');
  });

  it('names that would fill audit records are refused, and are not in the refusal', () => {
    const value = `https://example/${'a'.repeat(5000)}`;
    const long = makeSelfSigned({
      key,
      commonName: 'a',
      alternativeNames: [{ kind: 'uri', value }],
      notBefore: 0,
    });
    const { refused, certificate } = authenticate({ ...handshake, certificate: long }, expected);
    assert.equal(refused?.reason, 'malformed');
    assert.ok(refused.text.length < 200);
    assert.equal(certificate, undefined);
  });

  it('no certificate, and one that is not DER, are refused', () => {
    const without = authenticate({ ...handshake, certificate: undefined }, expected);
    assert.equal(without.refused?.reason, 'no-certificate');
    const cut = authenticate({ ...handshake, certificate: certificate.subarray(1) }, expected);
    assert.equal(cut.refused?.reason, 'malformed');
    assert.match(cut.refused.text, /the client's certificate is not valid: .*not valid DER/);
  });
});
