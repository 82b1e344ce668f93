import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, verify, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { runs } from '@kata-agent/base/testing';
import * as fc from 'fast-check';
import { CertificateError } from '../certificate-error.js';
import { der } from '../der/der-writer.js';
import { Tag } from '../der/tag.js';
import { commonNames } from '../name/distinguished-name.js';
import {
  basicConstraints,
  type CertificateContent,
  encodeName,
  extendedKeyUsage,
  makeCertificate,
  type NameAttribute,
  subjectAltName,
} from './make-certificate.js';
import { parseCertificateFields } from './certificate-fields.js';
import { type Certificate, parseCertificate } from './parse-certificate.js';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

function make(change: Partial<CertificateContent> = {}): Uint8Array {
  return makeCertificate(
    {
      issuer: encodeName([[{ type: 'CN', text: 'CA' }]]),
      subject: encodeName([[{ type: 'CN', text: 'auditor' }]]),
      notBefore: Date.UTC(2026, 0),
      notAfter: Date.UTC(2027, 0),
      publicKey,
      extensions: [],
      ...change,
    },
    privateKey,
  );
}

const named = (...names: readonly (readonly NameAttribute[])[]): Certificate =>
  parseCertificate(make({ subject: encodeName(names) }));

const faulty = (fault: string, pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof CertificateError, String(error));
  assert.equal(error.fault, fault);
  assert.match(error.message, pattern);
  return true;
};

test('key, fingerprint and serial number are those of Node.js', () => {
  const bytes = make();
  const node = new X509Certificate(bytes);
  const certificate = parseCertificate(bytes);
  assert.equal(certificate.fingerprint, node.fingerprint256.replaceAll(':', '').toLowerCase());
  const spki = node.publicKey.export({ type: 'spki', format: 'der' });
  assert.equal(certificate.spki, createHash('sha256').update(spki).digest('hex'));
  assert.equal(certificate.serial, node.serialNumber.toLowerCase());
  assert.equal(certificate.notAfter, Date.UTC(2027, 0));
});

test('a subject is RFC 4514 text: the last part first, special characters escaped', () => {
  const { subjectText } = named(
    [{ type: 'C', text: 'DE' }],
    [{ type: 'O', text: 'Example, "Inc"' }],
    [
      { type: 'OU', text: 'ops' },
      { type: 'CN', text: ' #1+2 ' },
    ],
    [{ type: '1.2.840.113549.1.9.1', text: 'a@b', tag: Tag.Ia5String }],
  );
  assert.equal(
    subjectText,
    '1.2.840.113549.1.9.1=#1603614062,CN=\\ #1\\+2\\ +OU=ops,O=Example\\, \\"Inc\\",C=DE',
  );
});

test('two common names stay two, wherever they are', () => {
  const apart = named([{ type: 'CN', text: 'auditor' }], [{ type: 'CN', text: 'admin' }]);
  assert.deepEqual(commonNames(apart.subject), ['auditor', 'admin']);
  const together = named([
    { type: 'CN', text: 'auditor' },
    { type: 'CN', text: 'other' },
  ]);
  assert.deepEqual(commonNames(together.subject), ['other', 'auditor']);
});

test('text of equal characters is equal, whatever type encodes it', () => {
  for (const tag of [Tag.Utf8String, Tag.PrintableString, Tag.Ia5String, Tag.BmpString, Tag.VisibleString]) {
    const { subject, subjectText } = named([{ type: 'CN', text: 'auditor', tag }]);
    assert.deepEqual(commonNames(subject), ['auditor'], `tag ${tag}`);
    assert.equal(subjectText, 'CN=auditor');
  }
  const umlaut = named([{ type: 'CN', text: 'Prüfer', tag: Tag.BmpString }]);
  assert.equal(umlaut.subjectText, named([{ type: 'CN', text: 'Prüfer' }]).subjectText);
  const decomposed = 'Prüfer'.normalize('NFD');
  assert.notEqual(
    named([{ type: 'CN', text: decomposed }]).subjectText,
    umlaut.subjectText,
    'not normalized',
  );
});

test('TeletexString has no reliable text: it is a common name of no text', () => {
  const { subject, subjectText } = named([{ type: 'CN', text: 'auditor', tag: Tag.TeletexString }]);
  assert.deepEqual(commonNames(subject), [undefined]);
  assert.equal(subjectText, 'CN=#140761756469746f72');
});

test('NUL and control characters in names are refused', () => {
  for (const tag of [Tag.Utf8String, Tag.BmpString, Tag.Ia5String])
    for (const text of ['auditor\0.evil', 'auditor\n', '\x7f'])
      assert.throws(() => named([{ type: 'CN', text, tag }]), faulty('name', /control character/));
  for (const kind of ['uri', 'dns', 'email'] as const)
    for (const value of ['a\0b', 'a b', '', 'ü'])
      assert.throws(
        () => parseCertificate(make({ extensions: [subjectAltName([{ kind, value }])] })),
        faulty('name', /not visible ASCII/),
      );
});

test('text that its type does not allow is refused', () => {
  const invalid: readonly [tag: number, text: string][] = [
    [Tag.PrintableString, 'a@b'],
    [Tag.PrintableString, 'a*b'],
    [Tag.NumericString, '1a'],
    [Tag.Ia5String, 'ü'],
    [Tag.UniversalString, 'abc'],
  ];
  for (const [tag, text] of invalid)
    assert.throws(
      () => named([{ type: 'CN', text, tag }]),
      faulty('name', /does not allow/),
      `${tag} ${text}`,
    );
  assert.throws(
    () => named([{ type: 'CN', text: '\ud800', tag: Tag.BmpString }]),
    faulty('name', /does not allow/),
  );
});

test('what BER allows and DER does not is refused', () => {
  const bytes = Buffer.from(make());
  const twice = extendedKeyUsage(['1.3.6.1.5.5.7.3.2']);
  const cases: readonly [name: string, bytes: Uint8Array][] = [
    ['bytes after its end', Buffer.concat([bytes, Buffer.of(0)])],
    ['cut off', bytes.subarray(0, -1)],
    ['an overlong length', Buffer.concat([Buffer.of(0x30, 0x83, 0), bytes.subarray(2)])],
    ['an indefinite length', Buffer.concat([Buffer.of(0x30, 0x80), bytes.subarray(4), Buffer.of(0, 0)])],
    ['empty', Buffer.of()],
  ];
  for (const [name, each] of cases)
    assert.throws(() => parseCertificate(each), faulty('encoding', /./), name);
  const serial = Buffer.from(make({ serial: Buffer.of(1) }));
  serial[serial.indexOf(Buffer.from('02010130', 'hex')) + 2] = 0x81;
  assert.throws(() => parseCertificate(serial), faulty('encoding', /not positive/));
  assert.throws(() => parseCertificate(make({ serial: Buffer.of(0) })), faulty('encoding', /not positive/));
  assert.throws(
    () => parseCertificate(make({ serial: Buffer.alloc(21, 1) })),
    faulty('encoding', /more than 20/),
  );
  assert.throws(
    () => parseCertificate(make({ extensions: [twice, twice] })),
    faulty('extension', /occurs twice/),
  );
  assert.throws(
    () => parseCertificate(make({ extensions: [subjectAltName([])] })),
    faulty('extension', /is empty/),
  );
  assert.throws(
    () => parseCertificate(make({ subject: der(Tag.Sequence, der(Tag.Set)) })),
    faulty('name', /empty/),
  );
});

test('a set out of order, a critical flag that is false, and a second signature algorithm are refused', () => {
  const attribute = (text: string): Uint8Array => {
    const name = encodeName([[{ type: 'CN', text }]]);
    return name.subarray(4);
  };
  const subject = der(Tag.Sequence, der(Tag.Set, attribute('b'), attribute('a')));
  assert.throws(() => parseCertificate(make({ subject })), faulty('encoding', /not in order/));
  const twice = der(Tag.Sequence, der(Tag.Set, attribute('a'), attribute('a')));
  assert.throws(() => parseCertificate(make({ subject: twice })), faulty('encoding', /not in order/));

  const critical = Buffer.from(make({ extensions: [basicConstraints()] }));
  critical[critical.lastIndexOf(Buffer.from('0101ff', 'hex')) + 2] = 0;
  assert.throws(() => parseCertificate(critical), faulty('encoding', /critical is not true/));

  const algorithm = Buffer.from(make());
  const ecdsaWithSha256 = Buffer.from('2a8648ce3d040302', 'hex');
  algorithm[algorithm.lastIndexOf(ecdsaWithSha256) + ecdsaWithSha256.length - 1] = 3;
  assert.throws(() => parseCertificate(algorithm), faulty('encoding', /two signature algorithms/));
});

test('fields are those that were signed, also with a serial number of zero', () => {
  const fields = parseCertificateFields(make({ serial: Buffer.of(0) }));
  assert.equal(fields.serial, '0');
  assert.ok(verify('sha256', fields.signed, publicKey, fields.signature));
  assert.deepEqual(Buffer.from(fields.publicKey), publicKey.export({ type: 'spki', format: 'der' }));
  const { extensions } = parseCertificateFields(make({ extensions: [basicConstraints()] }));
  assert.deepEqual([...extensions.keys()], ['2.5.29.19']);
  assert.equal(extensions.get('2.5.29.19')?.critical, true);
  const long = parseCertificateFields(make({ serial: Buffer.alloc(20, 0xff) }));
  assert.equal(long.serial, 'ff'.repeat(20));
});

test('a certificate of version 1, and one with a time that does not exist, are refused', () => {
  const bytes = Buffer.from(make());
  const version = bytes.indexOf(Buffer.from('a003020102', 'hex'));
  const older = Buffer.from(bytes);
  older[version + 4] = 0;
  assert.throws(() => parseCertificate(older), faulty('version', /version 3/));
  const february = Buffer.from(bytes);
  february.write('260231', february.indexOf('260101'), 'latin1');
  assert.throws(() => parseCertificate(february), faulty('time', /not a valid time/));
});

test('a changed byte gives a certificate or a CertificateError, nothing else', () => {
  const bytes = Buffer.from(
    make({
      extensions: [
        subjectAltName([{ kind: 'uri', value: 'spiffe://example/ops/alice' }]),
        extendedKeyUsage(['1.3.6.1.5.5.7.3.2']),
      ],
    }),
  );
  fc.assert(
    fc.property(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ flip;
      try {
        parseCertificate(changed);
      } catch (error) {
        assert.ok(error instanceof CertificateError, String(error));
      }
    }),
    { numRuns: runs(3000) },
  );
});

test('any names come back as they were', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((each) => !/\p{Cc}|\p{Cs}/u.test(each));
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 5 }), (names) => {
      const { subject } = named(...names.map((each) => [{ type: 'CN', text: each }]));
      assert.deepEqual(commonNames(subject), names);
    }),
  );
});
