import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { positions } from '@kata-agent/base/testing';
import { integer, octetString } from '@kata-agent/x509';
import * as fc from 'fast-check';
import { EvidenceFormError } from '../evidence-error.js';
import { day, now } from '../testing/authority.js';
import { accepts, assertAllOk, flip, linksIn, refuses } from '../testing/expect-links.js';
import {
  At,
  endorsementExtensions,
  hostData,
  makeCase,
  makeChain,
  makeList,
  makeReport,
  makeValues,
  milan,
  reportData,
  rootKey,
  signerKey,
  type SnpCase,
  type SnpTemplate,
  turin,
  verifyCase,
} from '../testing/snp-platform.js';
import { findSnpChain, snpChainFault } from '../snp/snp-chain.js';
import { snpLinks } from './verify-snp.js';

const genoa: SnpTemplate = { ...milan, product: 'Genoa' };
const vlek: SnpTemplate = { ...milan, kind: 'VLEK' };
const base = makeCase(milan);
const otherKey = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;

for (const product of [milan, genoa, turin])
  for (const kind of ['VCEK', 'VLEK'] as const)
    for (const version of [2, 3, 4, 5])
      test(`a report of version ${version}, ${product.product}, ${kind}: every link is ok`, () => {
        const template = { ...product, kind, version };
        const { links, accepted, report } = verifyCase(makeCase(template));
        assertAllOk(links, snpLinks);
        assert.equal(accepted, 0);
        assert.equal(report.cpu === undefined, version === 2);
        assert.equal(report.launchMitigations, version === 5 ? 3n : undefined);
      });

test('of CPUs, Bergamo and Siena are of Genoa; others and unknown ones are refused', () => {
  const products: readonly (readonly [SnpTemplate, number, number, boolean])[] = [
    [genoa, 0x19, 0xa0, true],
    [genoa, 0x19, 0x01, false],
    [milan, 0x19, 0x11, false],
    [milan, 0x19, 0x50, false],
    [milan, 0x17, 0x01, false],
    [turin, 0x1a, 0x11, true],
    [turin, 0x1a, 0x50, false],
  ];
  for (const [template, family, model, ok] of products) {
    const report = makeReport(template, (bytes) => bytes.set([family, model], At.family));
    const { links } = verifyCase({ ...makeCase(template), report });
    assert.deepEqual(linksIn(links, 'failed'), ok ? [] : ['snp.product'], `${family} ${model}`);
  }
});

const edited = (template: SnpTemplate, at: number, ...bytes: readonly number[]): Partial<SnpCase> => ({
  report: makeReport(template, (report) => report.set(bytes, at)),
});
const chain = (...changes: Parameters<typeof makeChain>): Partial<SnpCase> => ({
  certificates: Object.values(makeChain(...changes)),
});
const level = (oid: string, value: Uint8Array): Partial<SnpCase> =>
  chain(milan, {
    key: {
      extensions: [
        ...endorsementExtensions(milan).filter((extension) => extension.oid !== oid),
        { oid, value },
      ],
    },
  });

const amd = '1.3.6.1.4.1.3704.1';
/** The links that fail if a certificate of a key cannot be read. */
const unread = ['snp.key', 'snp.chip', 'snp.tcb'];

/** A change, and the links that fail by it. */
const refused: readonly (readonly [string, Partial<SnpCase>, readonly string[]])[] = [
  ['debug', edited(milan, At.policy + 2, 0x0b), ['snp.policy', 'snp.values']],
  ['a migration agent', edited(milan, At.policy + 2, 0x07), ['snp.policy', 'snp.values']],
  ['a policy without its bit that is one', edited(milan, At.policy + 2, 0x01), ['snp.policy', 'snp.values']],
  ['an unknown bit of the policy', edited(milan, At.policy + 3, 0x04), ['snp.policy', 'snp.values']],
  ['another policy', edited(milan, At.policy + 2, 0x02), ['snp.values']],
  ['another VMPL', edited(milan, At.vmpl, 1), ['snp.vmpl']],
  ['VMPL 0 where 1 is expected', { vmpl: 1 }, ['snp.vmpl']],
  ['signature algorithm 0', edited(milan, At.signatureAlgorithm, 0), ['snp.signature']],
  ['a masked chip key', edited(milan, At.key, 2), ['snp.key']],
  ['the other kind of key', edited(milan, At.key, 1 << 2), ['snp.key']],
  ['no key', edited(milan, At.key, 7 << 2), ['snp.key']],
  ['a report of the VLEK with the VCEK', { report: makeReport(vlek) }, ['snp.key']],
  ['another reported TCB', edited(milan, At.reportedTcb, 4), ['snp.tcb']],
  ['a reserved byte of the TCB', edited(milan, At.reportedTcb + 2, 1), ['snp.tcb', 'snp.values']],
  ['a current TCB below', edited(milan, At.currentTcb, 2), ['snp.values']],
  ['a committed TCB below', edited(milan, At.committedTcb + 6, 7), ['snp.values']],
  ['a launch TCB below', edited(milan, At.launchTcb + 7, 199), ['snp.values']],
  ['another chip', edited(milan, At.chipId + 63, 0), ['snp.chip']],
  ['a masked chip id', edited(milan, At.chipId, ...Buffer.alloc(64)), ['snp.chip']],
  ['another measurement', edited(milan, At.measurement, 0), ['snp.values']],
  ['other report data', edited(milan, At.reportData + 63, 0), ['snp.report-data']],
  ['another HOSTDATA', edited(milan, At.hostData, 0), ['snp.values', 'snp.host-data']],
  ['a HOSTDATA that is not that of the caller', { hostData: Buffer.alloc(32) }, ['snp.host-data']],
  [
    'a minimum above the TCB',
    { values: [makeValues(milan, { minimum_tcb: { ...milan.tcb, snp: 9 } })] },
    ['snp.values'],
  ],
  ['values of another product', { values: [makeValues(genoa)] }, ['snp.values']],
  [
    'a root that is not pinned',
    { roots: [] },
    ['snp.root', 'snp.key', 'snp.chip', 'snp.tcb', 'snp.product', 'snp.values'],
  ],
  [
    "AMD's roots",
    { roots: undefined as never },
    ['snp.root', 'snp.key', 'snp.chip', 'snp.tcb', 'snp.product', 'snp.values'],
  ],
  [
    'another root with the same names',
    chain(milan, { root: { key: signerKey, signingKey: signerKey }, signer: { signingKey: signerKey } }),
    ['snp.root', 'snp.revocation', 'snp.key', 'snp.chip', 'snp.tcb', 'snp.product', 'snp.values'],
  ],
  ['a root that did not sign itself', chain(milan, { root: { signingKey: signerKey } }), ['snp.chain']],
  ['an authority of another root', chain(milan, { signer: { signingKey: signerKey } }), ['snp.chain']],
  ['a key of another authority', chain(milan, { key: { signingKey: rootKey } }), ['snp.chain']],
  ['an invalid authority', chain(milan, { signer: { authority: false, usage: 4 } }), ['snp.chain']],
  ['an authority that may not sign', chain(milan, { signer: { usage: 2 } }), ['snp.chain']],
  ['a root that may not sign lists', chain(milan, { root: { usage: 4 } }), ['snp.revocation']],
  [
    'the ASVK as issuer of a VCEK',
    chain(milan, { signer: { subject: 'SEV-VLEK-Milan' }, key: { issuer: 'SEV-VLEK-Milan' } }),
    ['snp.chain'],
  ],
  ['a key that is an authority', chain(milan, { key: { authority: true } }), ['snp.chain']],
  [
    'a critical extension',
    chain(milan, {
      key: {
        extensions: [
          ...endorsementExtensions(milan),
          { oid: '1.2.3', critical: true, value: integer(Uint8Array.of(1)) },
        ],
      },
    }),
    ['snp.chain'],
  ],
  ['another key', chain(milan, { key: { key: otherKey } }), ['snp.signature']],
  ['an RSA key', chain(milan, { key: { key: signerKey } }), ['snp.signature']],
  ['a level of the certificate', level('1.3.6.1.4.1.3704.1.3.1', integer(Uint8Array.of(2))), ['snp.tcb']],
  [
    'a level above 255',
    level('1.3.6.1.4.1.3704.1.3.1', integer(Uint8Array.of(1, 3))),
    ['snp.key', 'snp.chip', 'snp.tcb'],
  ],
  [
    'a negative level',
    level('1.3.6.1.4.1.3704.1.3.1', Buffer.from('020183', 'hex')),
    ['snp.key', 'snp.chip', 'snp.tcb'],
  ],
  [
    'a level with bytes behind',
    level('1.3.6.1.4.1.3704.1.3.1', Buffer.from('02010300', 'hex')),
    ['snp.key', 'snp.chip', 'snp.tcb'],
  ],
  [
    'a reserved level',
    level('1.3.6.1.4.1.3704.1.3.5', integer(Uint8Array.of(1))),
    ['snp.key', 'snp.chip', 'snp.tcb'],
  ],
  ['a short chip id', level('1.3.6.1.4.1.3704.1.4', Buffer.alloc(8)), ['snp.key', 'snp.chip', 'snp.tcb']],
  [
    'a provider in a VCEK',
    level('1.3.6.1.4.1.3704.1.5', Buffer.from('160161', 'hex')),
    ['snp.key', 'snp.chip', 'snp.tcb'],
  ],
  ['a level of -128', level(`${amd}.3.1`, Buffer.from('020180', 'hex')), unread],
  ['no level', chain(milan, { key: { extensions: endorsementExtensions(milan).slice(1) } }), unread],
  ['a wrapped chip id of another length', level(`${amd}.4`, octetString(Buffer.alloc(8))), unread],
  ['a wrapped chip id of another chip', level(`${amd}.4`, octetString(Buffer.alloc(64))), ['snp.chip']],
  ['an expired key', chain(milan, { key: { notAfter: now - day } }), ['snp.validity']],
  ['an expired authority', chain(milan, { signer: { notAfter: now - day } }), ['snp.validity']],
  ['a key of the future', chain(milan, { key: { notBefore: now + day } }), ['snp.validity']],
  ['a revoked authority', { lists: [makeList(milan, { serials: [2] })] }, ['snp.revocation']],
  [
    'a revoked authority in one of two lists',
    { lists: [makeList(milan), makeList(milan, { serials: [2], nextUpdate: now - day })] },
    ['snp.revocation'],
  ],
  ['an old list', { lists: [makeList(milan, { nextUpdate: now - 1000 })] }, ['snp.revocation']],
  ['a list of the future', { lists: [makeList(milan, { thisUpdate: now + 1000 })] }, ['snp.revocation']],
  ['a list without an end', { lists: [makeList(milan, { nextUpdate: null })] }, ['snp.revocation']],
  [
    'a list that another key signed',
    { lists: [makeList(milan, { signingKey: signerKey })] },
    ['snp.revocation'],
  ],
  [
    'a list that covers a part',
    {
      lists: [
        makeList(milan, {
          extensions: [{ oid: '2.5.29.28', critical: true, value: octetString(Uint8Array.of(1)) }],
        }),
      ],
    },
    ['snp.revocation'],
  ],
];

for (const [what, change, links] of refused)
  test(`refused: ${what}`, () => {
    const result = verifyCase({ ...base, ...change });
    assert.deepEqual(linksIn(result.links, 'failed'), links);
    for (const { what } of result.links) assert.doesNotMatch(what, /undefined/);
  });

const unchecked: readonly (readonly [string, Partial<SnpCase>, readonly string[]])[] = [
  ['no time', { at: undefined }, ['snp.validity', 'snp.revocation']],
  ['no revocation list', { lists: [] }, ['snp.revocation']],
  ['the list of another product', { lists: [makeList(genoa)] }, ['snp.revocation']],
  ['no values', { values: [] }, ['snp.values']],
  [
    'any HOSTDATA',
    { hostData: undefined, values: [makeValues(milan, { host_data: 'any' })] },
    ['snp.host-data'],
  ],
];

for (const [what, change, names] of unchecked)
  test(`not checked, and all else ok: ${what}`, () => {
    const { links } = verifyCase({ ...base, ...change });
    assert.deepEqual(linksIn(links, 'not checked'), names);
    assert.deepEqual(linksIn(links, 'failed'), []);
  });

test('without a time, what is revoked or badly signed fails all the same', () => {
  for (const list of [makeList(milan, { serials: [2] }), makeList(milan, { signingKey: signerKey })]) {
    const { links } = verifyCase({ ...base, at: undefined, lists: [list] });
    assert.deepEqual(linksIn(links, 'failed'), ['snp.revocation']);
  }
});

test('HOSTDATA of the values file suffices without that of the caller', () => {
  assertAllOk(verifyCase({ ...base, hostData: undefined }).links, snpLinks);
});

test('tuples are not mixed: measurement of one and HOSTDATA of another', () => {
  const values = [
    makeValues(milan, { measurement: '00'.repeat(48) }),
    makeValues(milan, { host_data: '00'.repeat(32) }),
  ];
  const { links, accepted } = verifyCase({ ...base, values });
  assert.deepEqual(linksIn(links, 'failed'), ['snp.values']);
  assert.equal(accepted, undefined);
  assert.equal(verifyCase({ ...base, values: [...values, makeValues(milan)] }).accepted, 2);
});

test('a chip id may be wrapped in an OCTET STRING, and a level may be 128', () => {
  assertAllOk(
    verifyCase({ ...base, ...level(`${amd}.4`, octetString(Buffer.alloc(64, 0xc1))) }).links,
    snpLinks,
  );
  const template = { ...milan, tcb: { ...milan.tcb, tee: 128 } };
  assertAllOk(verifyCase(makeCase(template)).links, snpLinks);
});

test('the provider of a VLEK is visible ASCII', () => {
  const extensions = endorsementExtensions(vlek).slice(0, -1);
  const key = { extensions: [...extensions, { oid: `${amd}.5`, value: Buffer.from('16020a0a', 'hex') }] };
  const certificates = Object.values(makeChain(vlek, { key }));
  assert.deepEqual(linksIn(verifyCase({ ...makeCase(vlek), certificates }).links, 'failed'), unread);
});

test('FMC counts on Turin', () => {
  const other = makeReport(turin, (report) => report.set([2], At.reportedTcb));
  assert.deepEqual(linksIn(verifyCase({ ...makeCase(turin), report: other }).links, 'failed'), ['snp.tcb']);
  const below = makeReport(turin, (report) => report.set([0], At.launchTcb));
  assert.deepEqual(linksIn(verifyCase({ ...makeCase(turin), report: below }).links, 'failed'), [
    'snp.values',
  ]);
});

test('a chip id on Turin is 8 bytes and zeros', () => {
  const report = makeReport(turin, (bytes) => bytes.set([1], At.chipId + 8));
  assert.deepEqual(linksIn(verifyCase({ ...makeCase(turin), report }).links, 'failed'), ['snp.chip']);
});

test('each certificate is needed, in any order, and another one does no harm', () => {
  const { key, signer, root } = makeChain(milan);
  for (const certificates of [
    [key, signer],
    [key, root],
    [signer, root],
  ])
    assert.ok(linksIn(verifyCase({ ...base, certificates }).links, 'failed').includes('snp.chain'));
  assertAllOk(verifyCase({ ...base, certificates: [root, signer, key] }).links, snpLinks);
  const other = makeChain(milan, { root: { key: signerKey, signingKey: signerKey }, key: { key: otherKey } });
  const certificates = [...Object.values(other), root, signer, key];
  assertAllOk(verifyCase({ ...base, certificates }).links, snpLinks);
});

test('certificates of the collateral complete a chain', () => {
  const { key, signer, root } = makeChain(milan);
  const completed = { ...base, certificates: [key], collateralCertificates: [signer, root] };
  assertAllOk(verifyCase(completed).links, snpLinks);
});

test('more certificates than any host has are refused', () => {
  const certificates = Array.from({ length: 65 }, () => makeChain(milan).key);
  assert.throws(() => verifyCase({ ...base, certificates }), EvidenceFormError);
});

test('a report with any byte changed is refused', () => {
  for (const at of positions(base.report.length)) {
    const report = flip(base.report, at, 1 << (at % 8));
    assert.ok(
      refuses(() => verifyCase({ ...base, report })),
      `byte ${at}`,
    );
  }
});

test('a certificate with any byte changed is refused', () => {
  const chain = makeChain(milan);
  for (const name of ['key', 'signer', 'root'] as const)
    for (const at of positions(chain[name].length)) {
      const certificates = Object.values({ ...chain, [name]: flip(chain[name], at, 1 << (at % 8)) });
      const found = findSnpChain(certificates, base.roots, () => true);
      const refused = found.product === undefined || snpChainFault(found) !== undefined;
      assert.ok(refused, `byte ${at} of ${name}`);
    }
});

test('a revocation list with any byte changed is not accepted', () => {
  const list = makeList(milan);
  for (const at of positions(list.length)) {
    const accepted = accepts(() => verifyCase({ ...base, lists: [flip(list, at, 1 << (at % 8))] }));
    assert.equal(accepted, false, `byte ${at}`);
  }
});

test('versions 1 and 6 and reserved fields are refused, whatever signed them', () => {
  for (const [at, ...bytes] of [
    [At.version, 1],
    [At.version, 6],
    [At.key, 0x20],
    [At.key + 4, 1],
    [At.family + 3, 1],
    [At.mitigations, 1],
    [At.mitigations + 16, 1],
  ] as const) {
    const report = makeReport(milan, (template) => template.set(bytes, at));
    assert.throws(() => verifyCase({ ...base, report }), EvidenceFormError, `${at}`);
  }
});

test('a report of any other length is refused', () => {
  for (let length = 0; length < base.report.length; length += 1)
    assert.throws(() => verifyCase({ ...base, report: base.report.subarray(0, length) }), EvidenceFormError);
  const longer = Buffer.concat([base.report, Uint8Array.of(0)]);
  assert.throws(() => verifyCase({ ...base, report: longer }), EvidenceFormError);
});

test('any bytes as report or certificate are refused, and never throw another error', () => {
  const bytes = fc.uint8Array({ maxLength: 1500 });
  const report = fc.oneof(
    bytes,
    fc
      .uint8Array({ minLength: 1180, maxLength: 1180 })
      .map((rest) => Buffer.concat([Buffer.from([3, 0, 0, 0]), rest])),
  );
  fc.assert(fc.property(report, (report) => refuses(() => verifyCase({ ...base, report }))));
  fc.assert(
    fc.property(bytes, fc.nat(2), (certificate, index) =>
      refuses(() => verifyCase({ ...base, certificates: base.certificates.with(index, certificate) })),
    ),
  );
});

test('several bytes changed at once are refused', () => {
  const change = fc.tuple(fc.nat(1183), fc.integer({ min: 1, max: 255 }));
  fc.assert(
    fc.property(fc.uniqueArray(change, { minLength: 1, maxLength: 4, selector: ([at]) => at }), (changes) => {
      const report = changes.reduce((bytes, [at, bits]) => flip(bytes, at, bits), base.report);
      return refuses(() => verifyCase({ ...base, report }));
    }),
  );
});

test('report data and HOSTDATA are those that the test put in', () => {
  const { report } = verifyCase(base);
  assert.deepEqual([Buffer.from(report.reportData), Buffer.from(report.hostData)], [reportData, hostData]);
});
