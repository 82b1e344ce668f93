import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { runs } from '@kata-agent/base/testing';
import * as fc from 'fast-check';
import {
  encodeName,
  makeCertificate,
  type NameAttribute,
  subjectAltName,
} from '../certificate/make-certificate.js';
import { type Certificate, parseCertificate } from '../certificate/parse-certificate.js';
import { Tag } from '../der/tag.js';
import { grantsPeer, namesPeer, svidFault } from './match-peer.js';
import { parsePeerEntries, parsePeerEntry, PeerEntryError } from './peer-entry.js';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

function certificate(
  subject: readonly (readonly NameAttribute[])[],
  alternativeNames: readonly { kind: 'uri' | 'dns' | 'email'; value: string }[] = [],
): Certificate {
  return parseCertificate(
    makeCertificate(
      {
        issuer: encodeName([[{ type: 'CN', text: 'CA' }]]),
        subject: encodeName(subject),
        notBefore: 0,
        notAfter: 1000,
        publicKey,
        extensions: alternativeNames.length === 0 ? [] : [subjectAltName(alternativeNames)],
      },
      privateKey,
    ),
  );
}

const uris = (...values: readonly string[]): Certificate =>
  certificate(
    [],
    values.map((value) => ({ kind: 'uri', value })),
  );
const cns = (...values: readonly string[]): Certificate =>
  certificate(values.map((text) => [{ type: 'CN', text }]));
const grants = (entry: string, peer: Certificate): boolean => grantsPeer(parsePeerEntry(entry), peer);

test('cn: matches the one common name, byte for byte', () => {
  assert.ok(grants('cn:auditor', cns('auditor')));
  assert.ok(grants('cn:auditor', certificate([[{ type: 'CN', text: 'auditor', tag: Tag.BmpString }]])));
  for (const other of [cns('Auditor'), cns('auditor '), cns('auditors'), cns(), cns('')])
    assert.ok(!grants('cn:auditor', other), other.subjectText);
  assert.ok(!grants('cn:auditor', certificate([[{ type: 'CN', text: 'auditor', tag: Tag.TeletexString }]])));
  assert.ok(!grants('cn:auditor', certificate([[{ type: 'O', text: 'auditor' }]])));
  // What Node.js prints for two common names is one text of two lines.
  assert.ok(!grants('cn:auditor', certificate([[{ type: 'O', text: 'CN=auditor' }]])));
});

test('of two common names or two URIs none is believed', () => {
  const name = fc.constantFrom('auditor', 'admin', 'x');
  fc.assert(
    fc.property(fc.array(name, { minLength: 2, maxLength: 4 }), (names) => {
      for (const each of names) assert.ok(!grants(`cn:${each}`, cns(...names)));
      const all = names.map((each) => `https://example/${each}`);
      for (const each of all) assert.ok(!grants(`uri:${each}`, uris(...all)));
      assert.ok(!grants('uri:https://example/*', uris(...all)));
    }),
  );
});

test('* matches one whole last segment, and a pattern cannot match a parent path', () => {
  const below = 'uri:spiffe://example/ops/*';
  assert.ok(grants(below, uris('spiffe://example/ops/alice')));
  for (const uri of [
    'spiffe://example/ops',
    'spiffe://example/ops/',
    'spiffe://example/ops/a/b',
    'spiffe://example/ops/..',
    'spiffe://example/ops/.',
    'spiffe://example/ops/../admin',
    'spiffe://example/ops/%2e%2e',
    'spiffe://example/ops/a%2fb',
    'spiffe://example/ops/a?b',
    'spiffe://example/ops/a#b',
    'spiffe://example/opsalice',
    'spiffe://example.evil/ops/a',
    'spiffe://Example/ops/a',
    'SPIFFE://example/ops/a',
    'spiffe://example//ops/a',
    'spiffe://example/ops\\a',
  ])
    assert.ok(!grants(below, uris(uri)), uri);
  const tail = fc.string({ unit: 'binary-ascii', maxLength: 12 }).filter((text) => /^[!-~]+$/.test(text));
  fc.assert(
    fc.property(tail, (text) => {
      const granted = grants(below, uris(`spiffe://example/ops/${text}`));
      assert.equal(granted, /^[A-Za-z0-9._-]+$/.test(text) && text !== '.' && text !== '..');
    }),
    { numRuns: runs(1000) },
  );
});

test('dns: matches one of the names without case; subject: the whole subject; spki: the key', () => {
  const both = certificate(
    [],
    [
      { kind: 'dns', value: 'Ops.Example' },
      { kind: 'dns', value: 'other.example' },
    ],
  );
  assert.ok(grants('dns:ops.example', both));
  assert.ok(!grants('dns:example', both));
  assert.ok(!grants('dns:ops.example', certificate([], [{ kind: 'dns', value: '*.example' }])));
  assert.ok(!grants('dns:ops.example', uris('dns://ops.example')));
  const subject = certificate([[{ type: 'O', text: 'Example' }], [{ type: 'CN', text: 'auditor' }]]);
  assert.ok(grants('subject:CN=auditor,O=Example', subject));
  assert.ok(!grants('subject:CN=auditor', subject));
  assert.ok(!grants('subject:O=Example,CN=auditor', subject));
  assert.ok(grants(`spki:sha256:${subject.spki.toUpperCase()}`, subject));
  assert.ok(!grants(`spki:sha256:${subject.fingerprint}`, subject));
  assert.ok(grants('*', cns('a', 'b')));
});

test('for revocation any of the names counts', () => {
  const names = (entry: string, peer: Certificate): boolean => namesPeer(parsePeerEntry(entry), peer);
  assert.ok(names('cn:admin', cns('auditor', 'admin')));
  assert.ok(names('uri:https://example/*', uris('https://example/a', 'urn:b')));
  assert.ok(!names('cn:other', cns('auditor', 'admin')));
  for (const uri of ['https://example/ops/eve~1', 'https://example/ops/eve@x', 'https://example/ops/a/b'])
    assert.ok(names('uri:https://example/ops/*', uris(uri)), uri);
});

test('a certificate that claims a SPIFFE id must have a valid one, alone', () => {
  assert.equal(svidFault(uris('spiffe://example/ops/alice')), undefined);
  assert.equal(svidFault(uris('https://example', 'urn:x')), undefined);
  assert.equal(svidFault(cns('a')), undefined);
  const table: readonly [peer: Certificate, pattern: RegExp][] = [
    [uris('spiffe://example/a', 'https://example'), /beside another URI/],
    [uris('spiffe://example/a', 'spiffe://example/b'), /beside another URI/],
    [uris('spiffe://example/a/../b'), /has the segment '\.\.'/],
    [uris('spiffe://example/a//b'), /empty segment/],
    [uris('spiffe://example/a/'), /empty segment/],
    [uris('spiffe://example'), /has no path/],
    [uris('spiffe://example/a?b'), /other characters/],
    [uris('spiffe://example/a%2e'), /other characters/],
    [uris('spiffe://user@example/a'), /trust domain/],
    [uris('spiffe://example:1/a'), /trust domain/],
    [uris('Spiffe://example/a'), /lower case/],
    [uris(`spiffe://example/${'a'.repeat(2048)}`), /more than 2048/],
  ];
  for (const [peer, pattern] of table) assert.match(svidFault(peer) ?? '', pattern);
});

test('an entry that is not valid names itself, the reason, and what to write', () => {
  const table: readonly [entry: string, reason: RegExp, help: RegExp][] = [
    ['', /^peers entry '': unknown type$/, /^valid entries: uri:/],
    ['auditor', /unknown type/, /cn:auditor/],
    ['CN:auditor', /unknown type/, /cn:auditor/],
    ['host', /unknown type/, /cn:auditor/],
    ['cn:', /the name is empty/, /valid entries/],
    ['cn:aud*', /no meaning in a common name/, /list each name/],
    ['cn:a\0b', /control character/, /valid entries/],
    ['uri:spiffe://example/*/x', /whole last segment/, /PATH\/\*/],
    ['uri:spiffe://example/ops*', /whole last segment/, /PATH\/\*/],
    ['uri:*', /whole last segment/, /PATH\/\*/],
    ['uri:spiffe://*/ops', /whole last segment/, /PATH\/\*/],
    ['uri:spiffe://example/../x', /segment '\.\.'/, /exactly as it is/],
    ['uri:spiffe://example/../*', /segment '\.\.'/, /exactly as it is/],
    ['uri:spiffe://example//*', /empty segment/, /exactly as it is/],
    ['uri:spiffe://Example/a', /trust domain 'Example'/, /exactly as it is/],
    ['uri:https://example/a/../b', /climbing segment/, /exactly as it is/],
    ['uri:https://example/a%20b', /percent sign/, /exactly as it is/],
    ['uri:example', /not of the form SCHEME/, /exactly as it is/],
    ['dns:*.example', /not a DNS name/, /without wildcards/],
    ['dns:a..b', /not a DNS name/, /without wildcards/],
    ['dns:bücher.example', /not a DNS name/, /xn--/],
    ['subject:auditor', /not of the form TYPE=VALUE/, /RFC2253/],
    ['spki:sha256:abc', /not the SHA-256 of a public key/, /64 hex digits/],
    ['spki:sha1:abc', /not the SHA-256 of a public key/, /64 hex digits/],
  ];
  for (const [entry, reason, help] of table)
    assert.throws(
      () => parsePeerEntry(entry),
      (error: unknown) =>
        error instanceof PeerEntryError && reason.test(error.message) && help.test(error.help),
      entry,
    );
  assert.throws(() => parsePeerEntries(['*', 'cn:a']), /other entries have no effect beside it/);
  assert.deepEqual(parsePeerEntries(['*']), [{ kind: 'any' }]);
});
