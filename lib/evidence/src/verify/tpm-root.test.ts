import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { certificatePem, type Extension, extendedKeyUsage } from '@kata-agent/x509';
import { encodeBundle, parseBundle, type TpmBundle } from '../bundle.js';
import { reportDataOf } from '../claims.js';
import { type Collateral, noCollateral, parseCollateral } from '../collateral/collateral.js';
import { type CertificateTemplate, day, issue, now, revoke } from '../testing/authority.js';
import {
  At,
  hostData,
  makeCase as makeSnp,
  makeReport,
  makeValues,
  type SnpTemplate,
} from '../testing/snp-platform.js';
import { ak, akName, claims, makeBundle, type Parts, values } from '../testing/soft-tpm.js';
import { splitCertificates } from '../tpm/ak-certificate.js';
import { parseReferenceValues, type TpmRoots } from './values.js';
import { type Verification, verifyEvidence } from './verify-evidence.js';

const expected = { nonce: claims.nonce, channel: claims.channel, tlsSpki: claims.tlsSpki };
const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const [rootKey, middleKey, otherKey] = [newKey(), newKey(), newKey()];
const attestationUsage = extendedKeyUsage(['2.23.133.8.3']);

const root = issue({
  vendor: 'intel',
  subject: 'TPM CA',
  issuer: 'TPM CA',
  key: rootKey,
  signingKey: rootKey,
  authority: true,
});
const middleOf = (change: Partial<CertificateTemplate> = {}): Uint8Array =>
  issue({
    vendor: 'intel',
    subject: 'TPM CA 2',
    issuer: 'TPM CA',
    key: middleKey,
    signingKey: rootKey,
    serial: 2,
    authority: true,
    ...change,
  });
const leafOf = (change: Partial<CertificateTemplate> = {}): Uint8Array =>
  issue({
    vendor: 'intel',
    subject: 'AK of guest 1',
    issuer: 'TPM CA 2',
    key: ak.privateKey,
    signingKey: middleKey,
    serial: 3,
    extensions: [attestationUsage],
    ...change,
  });
const listOf = (issuer: string, signingKey: KeyObject, serials: readonly number[] = []): Uint8Array =>
  revoke({ vendor: 'intel', issuer, signingKey, serials });
const lists = (revoked: readonly number[] = []): Collateral =>
  parseCollateral(
    new Map([
      ['a', listOf('TPM CA', rootKey)],
      ['b', listOf('TPM CA 2', middleKey, revoked)],
    ]),
  );

const rootsOf = (pem: string): TpmRoots =>
  parseReferenceValues(
    Buffer.from(JSON.stringify({ v: 1, accept: ['tpm'], tpm_roots: { certificates: pem } })),
  ).tpmRoots;

/** A values file that knows registers, and no key. */
const unpinned = {
  ...values,
  tpm: values.tpm.map(({ bank, registers }) => ({ bank, registers })),
  tpmRoots: rootsOf(certificatePem(root)),
};

function verify(
  certificates: readonly Uint8Array[],
  { collateral = lists(), roots = unpinned.tpmRoots, at = now } = {},
): Verification {
  const bundle = makeBundle();
  const [tpm] = bundle.evidence as readonly TpmBundle[];
  assert.ok(tpm !== undefined);
  const written = parseBundle(encodeBundle({ ...bundle, evidence: [{ ...tpm, certificates }] }));
  return verifyEvidence(written, { ...unpinned, tpmRoots: roots }, expected, { collateral, at });
}

test('a key with a certificate that leads to a CA of the values file is rooted', () => {
  const { result, links } = verify([middleOf(), leafOf()]);
  assert.equal(result, 'verified', JSON.stringify(links));
  assert.match(
    links.find(({ name }) => name === 'tpm.root')?.what ?? '',
    /^rooted: AK of guest 1 by TPM CA 2 by TPM CA/,
  );
  const direct = verify([leafOf({ issuer: 'TPM CA', signingKey: rootKey })]);
  assert.equal(direct.result, 'verified');
  // The verifier's own certificates do as well.
  const collateral = { ...lists(), certificates: [leafOf(), middleOf()] };
  assert.equal(verify([], { collateral }).result, 'verified');
});

test('certificates of a TPM follow one another, and its space is filled', () => {
  const bytes = Buffer.concat([leafOf(), middleOf(), Buffer.alloc(40, 0xff)]);
  assert.equal(verify(splitCertificates(bytes)).result, 'verified');
});

const constraints = (length: number): Extension => ({
  oid: '2.5.29.19',
  critical: true,
  value: Buffer.from(`30060101ff0201${Buffer.from([length]).toString('hex')}`, 'hex'),
});

const faults: readonly (readonly [what: string, certificates: readonly Uint8Array[], message: RegExp])[] = [
  ['none of its key', [middleOf(), leafOf({ key: otherKey })], /^unrooted: .*no certificate is of this key/],
  ['a missing authority', [leafOf()], /leads to a CA of the values file/],
  [
    'a signature of another authority',
    [middleOf(), leafOf({ signingKey: otherKey })],
    /its signature is wrong/,
  ],
  [
    'an invalid authority',
    [middleOf({ authority: false }), leafOf()],
    /the issuer may not issue certificates/,
  ],
  [
    'a certificate for other purposes',
    [middleOf(), leafOf({ extensions: [] })],
    /not one of an attestation key/,
  ],
  [
    'a certificate of a server',
    [middleOf(), leafOf({ extensions: [extendedKeyUsage(['1.3.6.1.5.5.7.3.1'])] })],
    /not one of an attestation key/,
  ],
  ['the key of an authority', [middleOf(), leafOf({ authority: true })], /is one of an authority/],
  [
    'an authority below one that allows none',
    [
      middleOf({ authority: false, usage: 6, extensions: [constraints(0)] }),
      issue({
        vendor: 'intel',
        subject: 'TPM CA 3',
        issuer: 'TPM CA 2',
        key: otherKey,
        signingKey: middleKey,
        authority: true,
      }),
      leafOf({ issuer: 'TPM CA 3', signingKey: otherKey }),
    ],
    /allows 0 authorities below it/,
  ],
  [
    'a critical extension that nobody knows',
    [
      middleOf(),
      leafOf({
        extensions: [attestationUsage, { oid: '1.2.3', critical: true, value: new Uint8Array([5, 0]) }],
      }),
    ],
    /unknown critical extension/,
  ],
];

for (const [what, certificates, message] of faults)
  test(`not rooted: ${what}`, () => {
    const { verified, links } = verify(certificates);
    assert.equal(verified, false);
    const link = links.find(({ name }) => name === 'tpm.root');
    assert.notEqual(link?.state, 'ok');
    assert.match(link?.what ?? '', message);
  });

/** Its public exponent is as long as the modulus: each signature costs as much as one that is made. */
function slowKey(): KeyObject {
  const jwk = generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey.export({ format: 'jwk' });
  return createPrivateKey({ key: { ...jwk, e: jwk.d, d: jwk.e } as JsonWebKey, format: 'jwk' });
}

test('the search for a chain ends soon, whatever certificates a guest sends', () => {
  const rsa = Buffer.from('300d06092a864886f70d01010b0500', 'hex');
  const fast = generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey;
  const half = Array.from({ length: 32 });
  for (const [what, key] of [
    ['slow', slowKey()],
    ['fast', fast],
  ] as const) {
    const leaf = leafOf({ vendor: 'amd', algorithm: rsa, signingKey: fast, serial: 9 });
    const issuer = issue({
      vendor: 'amd',
      subject: 'TPM CA 2',
      issuer: 'TPM CA',
      key,
      signingKey: fast,
      authority: true,
    });
    const started = performance.now();
    const { links } = verify([...half.map(() => leaf), ...half.map(() => issuer)]);
    const ms = performance.now() - started;
    assert.ok(ms < 1_000, `${what}: ${ms} ms`);
    assert.notEqual(links.find(({ name }) => name === 'tpm.root')?.state, 'ok');
  }
});

test('validity and revocation are links of their own', () => {
  const chain = [middleOf(), leafOf()];
  assert.match(verify(chain, { at: now + 2_000 * day }).result, /tpm\.validity failed/);
  assert.match(
    verify(chain, { collateral: lists([3]) }).result,
    /tpm\.revocation failed: .*AK of guest 1 is revoked/,
  );
  assert.match(verify(chain, { collateral: noCollateral }).result, /tpm\.revocation is not checked/);
});

test('a CA of the values file must be one', () => {
  assert.throws(() => rootsOf(certificatePem(leafOf())), /may not issue certificates/);
  assert.throws(() => rootsOf('x'), /tpm_roots, certificates is not a text of PEM/);
});

const template: SnpTemplate = {
  product: 'Milan',
  version: 3,
  kind: 'VCEK',
  tcb: { bootloader: 3, tee: 0, snp: 8, microcode: 115 },
};

function verifyReported(
  parts: Parts,
  reports: boolean,
  change: (report: Buffer) => void = () => {},
  more: { readonly waive?: readonly string[]; readonly snp?: undefined } = {},
): Verification {
  const snp = makeSnp(template);
  const bundle = makeBundle(parts);
  const report = makeReport(template, (bytes) => {
    bytes.set(reportDataOf(bundle.claims), At.reportData);
    change(bytes);
  });
  const collateral = parseCollateral(
    new Map([...snp.lists, ...snp.certificates].map((bytes, index) => [`${index}`, bytes])),
  );
  const accepted = parseReferenceValues(
    Buffer.from(
      JSON.stringify({
        v: 1,
        accept: ['snp', 'tpm'],
        require: ['snp', 'tpm'],
        configurations: values.configurations,
        tpm_roots: { reports },
        snp: [makeValues(template)],
        ...more,
      }),
    ),
  );
  return verifyEvidence(
    { ...bundle, evidence: [...bundle.evidence, { kind: 'snp', report, certificates: new Uint8Array() }] },
    { ...accepted, tpm: unpinned.tpm },
    expected,
    { collateral, at: now, hostData, amdRoots: snp.roots },
  );
}

test('a key that the claims of a verified report name is rooted, if the values file trusts reports', () => {
  const named = { claims: { tpmAk: akName } };
  const { result, links } = verifyReported(named, true);
  assert.equal(result, 'verified', JSON.stringify(links));
  assert.match(
    links.find(({ name }) => name === 'tpm.root')?.what ?? '',
    /the snp report binds name the key/,
  );
  assert.match(verifyReported(named, false).result, /tpm\.root is not checked: unrooted/);
  const other = { claims: { tpmAk: `000b${'11'.repeat(32)}` } };
  assert.match(verifyReported(other, true).result, /tpm\.root failed: .*name the key 000b11/);
  assert.match(verifyReported({}, true).result, /tpm\.root failed: .*name the key none/);
  // A report that is not verified roots nothing.
  const debug = verifyReported(named, true, (report) => report.writeBigUInt64LE(0xb_0000n, At.policy));
  assert.equal(debug.links.find(({ name }) => name === 'tpm.root')?.state, 'not checked');
});

test('a key is not rooted by a report of which a link is waived that its claims rest on (S45)', () => {
  const named = { claims: { tpmAk: akName } };
  const waiving = (waive: readonly string[]): Verification =>
    verifyReported(named, true, undefined, { waive, snp: undefined });
  const { result, links } = waiving(['snp.values']);
  assert.match(
    result,
    /tpm\.root is not checked: .*rest on snp\.values, which is waived/,
    JSON.stringify(links),
  );
  assert.equal(waiving(['snp.values', 'tpm.root']).result, 'verified');
});
