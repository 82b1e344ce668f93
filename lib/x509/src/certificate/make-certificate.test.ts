import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { makeCertificate, makeSelfSigned, noExpiry, encodeName } from './make-certificate.js';
import { parseCertificate } from './parse-certificate.js';
import { certificatePem, certificatesOfPem } from './pem.js';

const floor = Date.UTC(2026, 10, 26, 12);
const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const extension = {
  oid: '1.3.6.1.4.1.55555.1',
  value: Buffer.concat([Buffer.from('04821000', 'hex'), Buffer.alloc(4096)]),
};

function selfSigned(): Uint8Array {
  return makeSelfSigned({
    key,
    commonName: 'kata-agent',
    alternativeNames: [
      { kind: 'dns', value: 'kata-agent' },
      { kind: 'ip', value: '127.0.0.1' },
    ],
    notBefore: floor,
    extensions: [extension],
  });
}

test('it is valid from the floor of the clock, and does not expire', () => {
  const certificate = parseCertificate(selfSigned());
  assert.equal(certificate.notBefore, floor);
  assert.equal(certificate.notAfter, noExpiry);
  assert.equal(certificate.subjectText, 'CN=kata-agent');
  assert.equal(certificate.issuerText, 'CN=kata-agent');
  assert.deepEqual(certificate.alternativeNames, [
    { kind: 'dns', value: 'kata-agent' },
    { kind: 'ip', value: '127.0.0.1' },
  ]);
  assert.deepEqual(certificate.extendedKeyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  const node = new X509Certificate(selfSigned());
  assert.equal(node.validTo, 'Dec 31 23:59:59 9999 GMT');
  assert.ok(node.verify(createPublicKey(key)));
  assert.equal(node.ca, false);
});

test('each serial number is random, positive, and of full length', () => {
  const serials = Array.from({ length: 50 }, () => parseCertificate(selfSigned()).serial);
  assert.equal(new Set(serials).size, 50);
  for (const serial of serials) assert.match(serial, /^[4-7][0-9a-f]{31}$/);
});

test('times are UTCTime until 2049 and GeneralizedTime after', () => {
  for (const notBefore of [
    Date.UTC(1950, 0),
    Date.UTC(1999, 11, 31),
    Date.UTC(2049, 11, 31, 23, 59, 59),
    Date.UTC(2050, 0),
  ]) {
    const name = encodeName([]);
    const bytes = makeCertificate(
      { issuer: name, subject: name, notBefore, notAfter: notBefore + 1000, publicKey, extensions: [] },
      key,
    );
    assert.equal(parseCertificate(bytes).notBefore, notBefore);
    assert.equal(Date.parse(new X509Certificate(bytes).validFrom), notBefore);
    const type = notBefore < Date.UTC(2050, 0) ? 0x17 : 0x18;
    assert.ok(Buffer.from(bytes).includes(Buffer.from([type, type === 0x17 ? 13 : 15])));
  }
});

test('PEM is written and read', () => {
  const one = selfSigned();
  const two = selfSigned();
  const text = `# first\n${certificatePem(one)}\nsecond\n${certificatePem(two).replaceAll('\n', '\r\n')}`;
  assert.deepEqual(
    certificatesOfPem(text).map((each) => Buffer.from(each)),
    [Buffer.from(one), Buffer.from(two)],
  );
  assert.deepEqual(
    certificatesOfPem('-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----'),
    [],
  );
});
