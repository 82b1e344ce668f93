import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { positions } from '@kata-agent/base/testing';
import { certificatePem, integer } from '@kata-agent/x509';
import * as fc from 'fast-check';
import { EvidenceFormError } from '../evidence-error.js';
import { algorithms, day, now } from '../testing/authority.js';
import { accepts, assertAllOk, flip, linksIn, refuses } from '../testing/expect-links.js';
import {
  At,
  fmspc,
  level,
  makeCase,
  makeChain,
  makeLists,
  makeQeIdentity,
  makeQuote,
  makeSigner,
  makeTcbInfo,
  makeValues,
  pckKey,
  type QuoteChanges,
  sgxExtension,
  signDocument,
  svnLevel,
  type TdxCase,
  type TdxTemplate,
  verifyCase,
} from '../testing/tdx-platform.js';
import { parseTdxQuote, withoutPadding } from '../tdx/quote.js';
import { tdxLinks } from './verify-tdx.js';

const v4: TdxTemplate = { version: 4, form: '1.0' };
const v5: TdxTemplate = { version: 5, form: '1.5' };
const base = makeCase(v5);
const otherKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

for (const template of [v4, { version: 5, form: '1.0' }, v5] as const)
  test(`a quote of version ${template.version} with a TD report ${template.form}: every link is ok`, () => {
    const { links, accepted, tcb, quote } = verifyCase(makeCase(template));
    assertAllOk(links, tdxLinks);
    assert.equal(accepted, 0);
    assert.equal(tcb?.status, 'UpToDate');
    assert.equal(tcb?.platform.fmspc, fmspc);
    assert.equal(quote.report.form, template.form);
  });

const quoted = (changes: QuoteChanges): Partial<TdxCase> => ({ quote: makeQuote(v5, changes) });
const body = (at: number, ...bytes: readonly number[]): Partial<TdxCase> =>
  quoted({ body: (report) => report.set(bytes, at) });
const enclave = (at: number, ...bytes: readonly number[]): Partial<TdxCase> =>
  quoted({ qeReport: (report) => report.set(bytes, at) });
const chain = (...changes: Parameters<typeof makeChain>): Partial<TdxCase> =>
  quoted({ certificates: makeChain(...changes) });
const info = (changes: Readonly<Record<string, unknown>>): Partial<TdxCase> => ({
  tcbInfos: [signDocument('tcbInfo', makeTcbInfo(changes))],
});
const identity = (changes: Readonly<Record<string, unknown>>): Partial<TdxCase> => ({
  qeIdentities: [signDocument('enclaveIdentity', makeQeIdentity(changes))],
});
const values = (changes: Readonly<Record<string, unknown>>): Partial<TdxCase> => ({
  values: [makeValues(changes)],
});
const past = { issueDate: '2025-01-01T00:00:00Z', nextUpdate: '2025-02-01T00:00:00Z' };
const future = { issueDate: '2027-01-01T00:00:00Z', nextUpdate: '2027-02-01T00:00:00Z' };
const documents = ['tdx.qe-identity', 'tdx.tcb'];

/** A change, and the links that fail by it. */
const refused: readonly (readonly [string, Partial<TdxCase>, readonly string[]])[] = [
  ['DEBUG', body(At.tdAttributes, 1), ['tdx.attributes', 'tdx.values']],
  ['profiling', body(At.tdAttributes, 0x10), ['tdx.attributes', 'tdx.values']],
  ['no SEPT_VE_DISABLE', body(At.tdAttributes + 3, 0x40), ['tdx.attributes', 'tdx.values']],
  ['MIGRATABLE', body(At.tdAttributes + 3, 0x30), ['tdx.attributes', 'tdx.values']],
  ['an unknown bit of security', body(At.tdAttributes + 1, 1), ['tdx.attributes', 'tdx.values']],
  ['another attribute than in the values', body(At.tdAttributes + 3, 0x50), ['tdx.values']],
  ['a service TD', body(At.mrServiceTd, 1), ['tdx.attributes']],
  ['a module that Intel did not sign', body(At.mrSignerSeam, 1), ['tdx.module', 'tdx.tcb']],
  ['SEAMATTRIBUTES', body(At.seamAttributes, 1), ['tdx.module', 'tdx.tcb']],
  ['another XFAM', body(At.xfam, 0xe6), ['tdx.values']],
  ['another MRTD', body(At.mrTd, 0), ['tdx.values']],
  ['another MRCONFIGID', body(At.mrConfigId, 0), ['tdx.values', 'tdx.mrconfigid']],
  ['an MRCONFIGID that is not that of the caller', { mrConfigId: Buffer.alloc(48) }, ['tdx.mrconfigid']],
  ['an MROWNER', body(At.mrOwner, 1), ['tdx.values']],
  ['an MROWNERCONFIG', body(At.mrOwnerConfig + 47, 1), ['tdx.values']],
  ['another RTMR0', body(At.rtmr0, 0), ['tdx.values']],
  ['another RTMR3', body(At.rtmr3 + 47, 0), ['tdx.values']],
  ['other report data', body(At.reportData + 63, 0), ['tdx.report-data']],
  ['an SVN below the minimum', values({ minimum_tcb: `060104${'00'.repeat(13)}` }), ['tdx.values']],
  ['another module version', values({ minimum_tcb: `060003${'00'.repeat(13)}` }), ['tdx.values']],
  ['a root that is not pinned', { roots: [] }, ['tdx.root', ...documents]],
  ["Intel's roots", { roots: undefined as never }, ['tdx.root', ...documents]],
  [
    'another root with the same names',
    chain({ root: { key: otherKey, signingKey: otherKey }, authority: { signingKey: otherKey } }),
    ['tdx.root', 'tdx.revocation'],
  ],
  ['a root that did not sign itself', chain({ root: { signingKey: otherKey } }), ['tdx.root']],
  ['an authority of another root', chain({ authority: { signingKey: otherKey } }), ['tdx.chain']],
  ['a PCK of another authority', chain({ pck: { signingKey: otherKey } }), ['tdx.chain']],
  [
    'an invalid authority',
    chain({ authority: { authority: false, usage: 6 } }),
    ['tdx.chain', 'tdx.revocation'],
  ],
  [
    'a PCK of an issuer with another name',
    chain({ pck: { issuer: 'Intel SGX PCK Processor CA' } }),
    ['tdx.chain'],
  ],
  ['a signature of another scheme', chain({ pck: { algorithm: algorithms.amd } }), ['tdx.chain']],
  [
    'a list with a signature of another scheme',
    { lists: makeLists({ authority: { algorithm: algorithms.amd } }) },
    ['tdx.revocation'],
  ],
  [
    'a PCK with two common names',
    chain({ pck: { subjects: ['Intel SGX PCK Certificate', 'another'] } }),
    ['tdx.root', 'tdx.chain', 'tdx.validity', 'tdx.revocation', 'tdx.qe-report', 'tdx.tcb'],
  ],
  ['a PCK that is an authority', chain({ pck: { authority: true } }), ['tdx.chain']],
  [
    'the TCB signer as authority',
    chain({ authority: { subject: 'Intel SGX TCB Signing' }, pck: { issuer: 'Intel SGX TCB Signing' } }),
    ['tdx.chain'],
  ],
  ['the TCB signer as PCK', chain({ pck: { subject: 'Intel SGX TCB Signing' } }), ['tdx.chain']],
  [
    'a critical extension',
    chain({
      pck: {
        extensions: [sgxExtension(), { oid: '1.2.3', critical: true, value: integer(Uint8Array.of(1)) }],
      },
    }),
    ['tdx.chain'],
  ],
  [
    'an order of certificates',
    quoted({ certificates: [...makeChain()].reverse() }),
    ['tdx.root', 'tdx.chain', 'tdx.qe-report', 'tdx.tcb'],
  ],
  ['a PCK without SGX extension', chain({ pck: { extensions: [] } }), ['tdx.tcb']],
  ['an expired PCK', chain({ pck: { notAfter: now - day } }), ['tdx.validity']],
  ['an authority of the future', chain({ authority: { notBefore: now + day } }), ['tdx.validity']],
  ['a revoked PCK', { lists: makeLists({ authority: { serials: [3] } }) }, ['tdx.revocation']],
  ['a revoked authority', { lists: makeLists({ root: { serials: [2] } }) }, ['tdx.revocation']],
  ['a revoked TCB signer', { lists: makeLists({ root: { serials: [4] } }) }, documents],
  [
    'an old list of the root',
    { lists: makeLists({ root: { nextUpdate: now - 1000 } }) },
    ['tdx.revocation', ...documents],
  ],
  [
    'an old list of the authority',
    { lists: makeLists({ authority: { nextUpdate: now - 1000 } }) },
    ['tdx.revocation'],
  ],
  [
    'a list that another key signed',
    { lists: makeLists({ authority: { signingKey: otherKey } }) },
    ['tdx.revocation'],
  ],
  ['a QE report of another PCK', quoted({ pckKey: otherKey }), ['tdx.qe-report']],
  ['another attestation key', quoted({ attestationKey: otherKey }), ['tdx.attestation-key']],
  ['other authentication data', quoted({ authenticationData: Buffer.alloc(32) }), ['tdx.attestation-key']],
  ['no authentication data', quoted({ authenticationData: Buffer.alloc(0) }), ['tdx.attestation-key']],
  ['bytes behind the hash in the QE report', enclave(383, 1), ['tdx.attestation-key']],
  ['another enclave of the platform', enclave(128, 0), ['tdx.qe', 'tdx.qe-identity']],
  ['another product of its signer', enclave(256, 3), ['tdx.qe', 'tdx.qe-identity']],
  ['an enclave that can be debugged', enclave(48, 0x17), ['tdx.qe', 'tdx.qe-identity']],
  ['another attribute of the enclave', enclave(49, 1), ['tdx.qe-identity']],
  ['MISCSELECT of the enclave', enclave(16, 1), ['tdx.qe-identity']],
  ['a QE that is out of date', enclave(258, 5), ['tdx.tcb']],
  ['a QE that is not supported', enclave(258, 3), ['tdx.tcb']],
  ['a module that is out of date', body(At.teeTcbSvn, 5), ['tdx.values', 'tdx.tcb']],
  ['a module that is not supported', body(At.teeTcbSvn, 3), ['tdx.values', 'tdx.tcb']],
  ['a module of an unknown version', body(At.teeTcbSvn, 6, 2), ['tdx.values', 'tdx.tcb']],
  ['a loader that is out of date', body(At.teeTcbSvn + 2, 2), ['tdx.values', 'tdx.tcb']],
  ['a loader that is not supported', body(At.teeTcbSvn + 2, 1), ['tdx.values', 'tdx.tcb']],
  ['a PCE that is not supported', chain({ pck: { extensions: [sgxExtension(undefined, 12)] } }), ['tdx.tcb']],
  [
    'an SVN below every level',
    chain({ pck: { extensions: [sgxExtension(Array.from({ length: 16 }, () => 3))] } }),
    ['tdx.tcb'],
  ],
  ['TCB info of another PCE id', info({ pceId: '0001' }), ['tdx.tcb']],
  ['expired TCB info', info(past), ['tdx.tcb']],
  ['TCB info of the future', info(future), ['tdx.tcb']],
  ['an expired QE identity', identity(past), ['tdx.qe-identity']],
  ['another identity of the QE', identity({ isvprodid: 1 }), ['tdx.qe-identity']],
  [
    'TCB info that another key signed',
    { tcbInfos: [signDocument('tcbInfo', makeTcbInfo(), otherKey)] },
    ['tdx.tcb'],
  ],
  [
    'TCB info that the PCK signed',
    { tcbInfos: [signDocument('tcbInfo', makeTcbInfo(), pckKey)] },
    ['tdx.tcb'],
  ],
  [
    'a TCB signer of another root',
    { certificates: [makeSigner({ signingKey: otherKey }), ...base.certificates.slice(1)] },
    documents,
  ],
  [
    'a TCB signer with another name',
    { certificates: [makeSigner({ subject: 'Intel SGX PCK Certificate' }), ...base.certificates.slice(1)] },
    documents,
  ],
  [
    'an expired TCB signer',
    { certificates: [makeSigner({ notAfter: now - day }), ...base.certificates.slice(1)] },
    documents,
  ],
  ['no root in the collateral', { certificates: [makeSigner()] }, documents],
];

for (const [what, change, links] of refused)
  test(`refused: ${what}`, () => {
    const result = verifyCase({ ...base, ...change });
    assert.deepEqual(linksIn(result.links, 'failed'), links);
    for (const { what } of result.links) assert.doesNotMatch(what, /undefined/);
  });

const unchecked: readonly (readonly [string, Partial<TdxCase>, readonly string[]])[] = [
  ['no time', { at: undefined }, ['tdx.validity', 'tdx.revocation', 'tdx.qe-identity', 'tdx.tcb']],
  ['no revocation lists', { lists: [] }, ['tdx.revocation']],
  ['no list of the authority', { lists: makeLists().slice(0, 1) }, ['tdx.revocation']],
  ['no values', { values: [] }, ['tdx.values']],
  ['no TCB info', { tcbInfos: [] }, ['tdx.tcb']],
  ['TCB info of another family', info({ fmspc: '50806f000000' }), ['tdx.tcb']],
  ['two TCB infos', { tcbInfos: [...base.tcbInfos, ...base.tcbInfos] }, ['tdx.tcb']],
  ['no QE identity', { qeIdentities: [] }, ['tdx.qe-identity']],
  [
    'no collateral',
    { tcbInfos: [], qeIdentities: [], certificates: [], lists: [] },
    ['tdx.revocation', 'tdx.qe-identity', 'tdx.tcb'],
  ],
  ['any MRCONFIGID', { mrConfigId: undefined, ...values({ mrconfigid: 'any' }) }, ['tdx.mrconfigid']],
];

for (const [what, change, names] of unchecked)
  test(`not checked, and all else ok: ${what}`, () => {
    const { links } = verifyCase({ ...base, ...change });
    assert.deepEqual(linksIn(links, 'not checked'), names);
    assert.deepEqual(linksIn(links, 'failed'), []);
  });

test('registers that the values do not compare, and MRCONFIGID of the values alone', () => {
  const any = values({ rtmr0: 'any', rtmr3: 'any', mrowner: 'any', mrownerconfig: '00'.repeat(48) });
  const quote = makeQuote(v5, { body: (report) => report.set([9], At.rtmr3) });
  assertAllOk(verifyCase({ ...base, ...any, quote, mrConfigId: undefined }).links, tdxLinks);
});

test('tuples are not mixed: MRTD of one and RTMR1 of another', () => {
  const tuples = [makeValues({ mrtd: '00'.repeat(48) }), makeValues({ rtmr1: '00'.repeat(48) })];
  assert.deepEqual(linksIn(verifyCase({ ...base, values: tuples }).links, 'failed'), ['tdx.values']);
  assert.equal(verifyCase({ ...base, values: [...tuples, makeValues()] }).accepted, 2);
});

const statuses: readonly (readonly [string, Partial<TdxCase>, string, readonly string[]])[] = [
  [
    'the highest level that is reached counts, in any order of the document',
    info({ tcbLevels: [level({ status: 'OutOfDate', tdx: [4, 0, 2] }), level({ status: 'UpToDate' })] }),
    'UpToDate',
    [],
  ],
  [
    'with a module version, its own SVNs are not compared with the level',
    info({ tcbLevels: [level({ status: 'UpToDate', tdx: [200, 200, 3] })] }),
    'UpToDate',
    [],
  ],
  [
    'a status of the level, with its advisories',
    info({ tcbLevels: [level({ status: 'SWHardeningNeeded', advisories: ['SA-9'] })] }),
    'SWHardeningNeeded',
    ['SA-9'],
  ],
  ['a module that is out of date makes it worse', body(At.teeTcbSvn, 5, 1, 3), 'TDRelaunchAdvised', ['SA-1']],
  ['a QE that is out of date makes it worse', enclave(258, 5), 'OutOfDate', ['SA-2']],
  ['a revoked QE revokes it', identity({ tcbLevels: [svnLevel(1, 'Revoked')] }), 'Revoked', []],
  [
    'a QE that is out of date, and configuration',
    { ...enclave(258, 5), ...info({ tcbLevels: [level({ status: 'ConfigurationNeeded' })] }) },
    'OutOfDateConfigurationNeeded',
    ['SA-2'],
  ],
  ['a revoked level', info({ tcbLevels: [level({ status: 'Revoked' })] }), 'Revoked', []],
  [
    'no level is reached',
    info({ tcbLevels: [level({ status: 'UpToDate', pceSvn: 14 })] }),
    'NotSupported',
    [],
  ],
  [
    'an old module now is old, too',
    quoted({ body: (report) => (report.set([5], At.teeTcbSvn), report.set([5], At.teeTcbSvn2)) }),
    'OutOfDate',
    ['SA-1'],
  ],
  [
    'an updated module, and configuration',
    { ...body(At.teeTcbSvn, 5), ...info({ tcbLevels: [level({ status: 'ConfigurationNeeded' })] }) },
    'TDRelaunchAdvisedConfigurationNeeded',
    ['SA-1'],
  ],
  [
    'an updated module does not hide a QE that is out of date',
    quoted({ body: (report) => report.set([5], At.teeTcbSvn), qeReport: (report) => report.set([5], 258) }),
    'OutOfDate',
    ['SA-1', 'SA-2'],
  ],
  [
    'nor SGX components that are out of date',
    { ...body(At.teeTcbSvn, 5), ...info({ tcbLevels: [level({ status: 'OutOfDate' })] }) },
    'OutOfDate',
    ['SA-1'],
  ],
  ['a level that is out of date, with a module that is not', body(At.teeTcbSvn + 2, 2), 'OutOfDate', []],
  [
    'an update to an unknown module',
    quoted({
      body: (report) => {
        report.set([5], At.teeTcbSvn);
        report.set([9, 2], At.teeTcbSvn2);
      },
    }),
    'NotSupported',
    ['SA-1'],
  ],
  [
    'an update of the module without one of the loader',
    quoted({
      body: (report) => {
        report.set([5], At.teeTcbSvn);
        report.set([6, 1, 2], At.teeTcbSvn2);
      },
    }),
    'OutOfDate',
    ['SA-1'],
  ],
  [
    'an update to a module of version 0',
    quoted({
      body: (report) => {
        report.set([5], At.teeTcbSvn);
        report.set([5, 0, 3], At.teeTcbSvn2);
      },
    }),
    'TDRelaunchAdvised',
    ['SA-1'],
  ],
  [
    'hardening needed, and a QE that is out of date',
    { ...enclave(258, 5), ...info({ tcbLevels: [level({ status: 'SWHardeningNeeded' })] }) },
    'OutOfDate',
    ['SA-2'],
  ],
];

for (const [what, change, status, advisories] of statuses)
  test(`status: ${what}`, () => {
    const { tcb } = verifyCase({ ...base, ...change });
    assert.equal(tcb?.status, status);
    assert.deepEqual(tcb?.advisories, advisories);
  });

test('a TD report 1.0 does not tell of updates', () => {
  const quote = makeQuote(v4, { body: (report) => report.set([5], At.teeTcbSvn) });
  assert.equal(verifyCase({ ...makeCase(v4), quote }).tcb?.status, 'OutOfDate');
});

test('a module of version 0 is compared with the level', () => {
  const quote = makeQuote(v4, { body: (report) => report.set([4, 0, 3], At.teeTcbSvn) });
  assert.equal(verifyCase({ ...makeCase(v4), quote }).tcb?.status, 'OutOfDate');
});

test('a status is accepted if a tuple that agrees accepts it; a revoked platform never is', () => {
  const outOfDate = { ...base, quote: makeQuote(v5, { qeReport: (report) => report.set([5], 258) }) };
  const tolerant = makeValues({ tcb_status: ['UpToDate', 'OutOfDate'] });
  assertAllOk(verifyCase({ ...outOfDate, values: [makeValues(), tolerant] }).links, tdxLinks);
  const other = makeValues({ tcb_status: ['OutOfDate'], mrtd: '00'.repeat(48) });
  assert.deepEqual(linksIn(verifyCase({ ...outOfDate, values: [makeValues(), other] }).links, 'failed'), [
    'tdx.tcb',
  ]);
  assert.throws(() => verifyCase({ ...base, ...values({ tcb_status: ['Revoked'] }) }), EvidenceFormError);
});

const malformed: readonly (readonly [string, QuoteChanges, RegExp])[] = [
  ['version 3', { header: (header) => header.writeUInt16LE(3, 0) }, /version 3/],
  ['another type of attestation key', { header: (header) => header.writeUInt16LE(3, 2) }, /type 3/],
  ['a quote of SGX', { header: (header) => header.writeUInt32LE(0, 4) }, /type 0/],
  ['another vendor', { header: (header) => header.writeUInt8(0, 12) }, /vendor/],
  ['an SGX body', { descriptor: [1, 384] }, /body/],
  ['a TD report 1.0 of the size of 1.5', { descriptor: [2, 648] }, /648/],
  ['a TD report 1.5 of the size of 1.0', { descriptor: [3, 584] }, /584/],
  ['another type of certification data', { types: [5, 5] }, /type 5, not 6/],
  ['a PPID instead of certificates', { types: [6, 3] }, /type 3, not 5/],
  ['two certificates', { certificates: makeChain().slice(0, 2) }, /2 certificates/],
  ['four certificates', { certificates: [...makeChain(), ...makeChain().slice(2)] }, /4 certificates/],
  ['no certificate', { chain: Buffer.from('\0') }, /PEM/],
  [
    'text before a certificate',
    { chain: Buffer.from(`x\n${makeChain().map(certificatePem).join('')}`) },
    /PEM/,
  ],
  [
    'lines of another length',
    { chain: Buffer.from(makeChain().map(certificatePem).join('').replace('\n', '')) },
    /PEM/,
  ],
  ['two NULs', { chain: Buffer.from(`${makeChain().map(certificatePem).join('')}\0\0`) }, /PEM/],
];

for (const [what, changes, message] of malformed)
  test(`not a quote: ${what}`, () => {
    assert.throws(
      () => parseTdxQuote(makeQuote(v5, changes)),
      (error) => error instanceof EvidenceFormError && message.test(error.message),
    );
  });

test('a quote with any byte changed is refused', () => {
  // Without collateral: it cannot make a quote valid, and takes most of the time.
  const bare = { ...base, tcbInfos: [], qeIdentities: [], certificates: [], lists: [] };
  for (const at of positions(base.quote.length)) {
    const quote = flip(base.quote, at, 1 << (at % 8));
    assert.ok(
      refuses(() => verifyCase({ ...bare, quote })),
      `byte ${at}`,
    );
  }
});

test('a quote that is cut off at any length, or longer, is refused', () => {
  for (let length = 0; length < base.quote.length; length += 1)
    assert.throws(() => parseTdxQuote(base.quote.subarray(0, length)), EvidenceFormError, `${length}`);
  assert.throws(() => parseTdxQuote(Buffer.concat([base.quote, Buffer.alloc(1)])), EvidenceFormError);
});

test('padding of zeros can be removed, and nothing else', () => {
  for (const quote of [base.quote, makeQuote(v4)])
    for (const padding of [0, 1, 70, 3065])
      assert.deepEqual(
        Buffer.from(withoutPadding(Buffer.concat([quote, Buffer.alloc(padding)]))),
        Buffer.from(quote),
      );
  assert.throws(() => withoutPadding(Buffer.concat([base.quote, Buffer.from([0, 1])])), EvidenceFormError);
  assert.throws(() => withoutPadding(base.quote.subarray(0, -1)), EvidenceFormError);
});

test('collateral with any byte changed is not accepted', () => {
  for (const name of ['tcbInfos', 'qeIdentities', 'lists', 'certificates'] as const) {
    const [document = new Uint8Array(), ...others] = base[name];
    for (const at of positions(document.length)) {
      const accepted = accepts(() => verifyCase({ ...base, [name]: [flip(document, at), ...others] }));
      assert.equal(accepted, false, `byte ${at} of ${name}`);
    }
  }
});

test('any bytes as quote are refused, and never throw another error', () => {
  const bytes = fc.uint8Array({ maxLength: 2000 });
  fc.assert(fc.property(bytes, (quote) => refuses(() => verifyCase({ ...base, quote }))));
  const start = base.quote.subarray(0, 48);
  fc.assert(
    fc.property(bytes, (rest) => refuses(() => verifyCase({ ...base, quote: Buffer.concat([start, rest]) }))),
  );
  fc.assert(
    fc.property(
      fc.nat(base.quote.length - 1),
      fc.uint8Array({ minLength: 1, maxLength: 8 }),
      (at, inserted) => {
        const quote = Buffer.concat([base.quote.subarray(0, at), inserted, base.quote.subarray(at)]);
        return refuses(() => verifyCase({ ...base, quote }));
      },
    ),
  );
  const change = fc.tuple(fc.nat(base.quote.length - 1), fc.integer({ min: 1, max: 255 }));
  fc.assert(
    fc.property(fc.uniqueArray(change, { minLength: 1, maxLength: 4, selector: ([at]) => at }), (changes) => {
      const quote = changes.reduce((all, [at, bits]) => flip(all, at, bits), base.quote);
      return refuses(() => verifyCase({ ...base, quote }));
    }),
  );
});
