import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runs } from '@kata-agent/base/testing';
import * as fc from 'fast-check';
import { type Bundle, encodeBundle, parseBundle, type TpmBundle } from '../bundle.js';
import { claimsDigest, reportDataOf } from '../claims.js';
import { parseCollateral } from '../collateral/collateral.js';
import { keysEvent, separatorEvent } from '../events/agent-event.js';
import { EvidenceFormError } from '../evidence-error.js';
import {
  akAttributes,
  claims,
  configurationEvent,
  event,
  makeBundle,
  type Parts,
  startEvents,
  values,
} from '../testing/soft-tpm.js';
import { At, makeCase, makeQuote } from '../testing/tdx-platform.js';
import { parseTdxValues } from '../tdx/values.js';
import { attribute } from '../tpm/tpm-structures.js';
import { type Verification, verifyEvidence } from './verify-evidence.js';

const expected = { nonce: claims.nonce, channel: claims.channel, tlsSpki: claims.tlsSpki };

const verify = (bundle: Bundle): Verification => verifyEvidence(bundle, values, expected);

test('what the agent makes is verified, also after the bundle was written and read', () => {
  const bundle = makeBundle();
  assert.equal(verify(bundle).result, 'verified', JSON.stringify(verify(bundle).links));
  assert.equal(verify(parseBundle(encodeBundle(bundle))).result, 'verified');
});

const [configuration, keys, separator] = startEvents();
const other = 'ab'.repeat(32);
const otherKeys = event(keysEvent({ tlsSpki: other, logKey: claims.logKey }));
assert.ok(configuration !== undefined && keys !== undefined && separator !== undefined);

/** What a program that is root in the guest can do after the start, with the agent's TPM and reports. */
const attacks: readonly (readonly [what: string, broken: string, parts: Parts])[] = [
  [
    'keys after the separator',
    'tpm.keys',
    { claims: { tlsSpki: other }, events: [configuration, keys, separator, otherKeys] },
  ],
  [
    'keys and a separator after the separator',
    'tpm.keys',
    { claims: { tlsSpki: other }, events: [configuration, keys, separator, otherKeys, separator] },
  ],
  ['no separator', 'tpm.configuration', { events: [configuration, keys] }],
  ['a separator before the keys', 'tpm.keys', { events: [configuration, separator, keys] }],
  ['no configuration', 'tpm.configuration', { events: [keys, separator] }],
  [
    'two configurations',
    'tpm.configuration',
    { events: [event(configurationEvent(other)), configuration, keys, separator] },
  ],
  [
    'another configuration than measured',
    'tpm.configuration',
    { events: [event(configurationEvent(other)), keys, separator] },
  ],
  [
    'an event of another program',
    'tpm.configuration',
    { events: [event(Buffer.from('x')), configuration, keys, separator] },
  ],
  [
    'the separator of another boot',
    'tpm.configuration',
    { events: [configuration, keys, event(separatorEvent('b002'))] },
  ],
  [
    'events in a register that the agent left alone',
    'tpm.configuration',
    { events: startEvents().map(({ data }) => event(data, 15)), registers: [0, 4, 15] },
  ],
  [
    'events in a register that can be reset',
    'tpm.registers',
    { events: startEvents().map(({ data }) => event(data, 23)), registers: [0, 4, 23] },
  ],
  ['a quote without the register of the events', 'tpm.event-log', { registers: [0, 4] }],
  [
    'a register with events that no log has',
    'tpm.event-log',
    {
      events: [configuration, keys, separator],
      quote: {
        values: new Map([
          [0, other],
          [4, '00'.repeat(32)],
          [13, other],
        ]),
      },
    },
  ],
  ['a quote of other claims', 'tpm.extra-data', { quote: { extraData: new Uint8Array(48) } }],
  ['a quote of nothing', 'tpm.extra-data', { quote: { extraData: new Uint8Array() } }],
  [
    'what another command of the TPM has signed',
    'tpm.signature',
    { quote: { change: (attest) => attest.writeUInt16BE(0x8017, 4) } },
  ],
  [
    'what no TPM has made',
    'tpm.signature',
    { quote: { change: (attest) => attest.writeUInt32BE(0xff544348, 0) } },
  ],
  ['another nonce', 'claims.nonce', { claims: { nonce: other } }],
  ['another connection', 'claims.channel', { claims: { channel: `tls-exporter:${other}` } }],
  ['another connection, without TLS', 'claims.channel', { claims: { channel: 'none:unix' } }],
  ['another key of TLS', 'claims.tls-key', { claims: { tlsSpki: other } }],
  ['another configuration', 'claims.configuration', { claims: { configDigest: other } }],
  ['documents that are not those of the digest', 'claims.documents', { claims: { documents: [other] } }],
  [
    'a checkpoint of another size',
    'claims.checkpoint',
    { bundle: { checkpoint: makeBundle({ claims: { treeSize: 5 } }).checkpoint } },
  ],
  ['claims in another form', 'claims.form', {}],
];

for (const [what, broken, parts] of attacks)
  test(`refused: ${what}`, () => {
    const bundle = what === 'claims in another form' ? spaced() : makeBundle(parts);
    // Where the attack is in what the caller expects anyway, only that link may be broken.
    const match = parts.claims?.tlsSpki === undefined || broken === 'claims.tls-key' ? claims.tlsSpki : other;
    const { verified, links } = verifyEvidence(bundle, values, { ...expected, tlsSpki: match });
    assert.equal(verified, false);
    assert.equal(links.find(({ state }) => state === 'failed')?.name, broken, JSON.stringify(links));
  });

/** A bundle whose claims have a space, quoted by the TPM. */
function spaced(): Bundle {
  const bytes = Buffer.from(Buffer.from(makeBundle().claims).toString().replace(':', ': '));
  const [evidence] = makeBundle({ quote: { extraData: claimsDigest(bytes) } }).evidence;
  assert.ok(evidence !== undefined);
  return { ...makeBundle(), claims: bytes, evidence: [evidence] };
}

test('refused: the events of the start in the log of the firmware, and a second start after them', () => {
  // A program that is root in the guest extends a start of its own, and shows that of the agent as a part of the firmware's log.
  const logKey = claims.logKey;
  const forged = [configuration, otherKeys, separator];
  const head = Buffer.concat([
    Buffer.from('Spec ID Event03\0', 'latin1'),
    Buffer.from([0, 0, 0, 0, 0, 2, 0, 2, 1, 0, 0, 0, 0xb, 0, 32, 0, 0]),
  ]);
  const u32 = (value: number): Buffer => Buffer.from([value & 0xff, (value >> 8) & 0xff, value >> 16, 0]);
  const firmware = Buffer.concat([
    u32(0),
    u32(3),
    Buffer.alloc(20),
    u32(head.length),
    head,
    ...startEvents().map(({ digests }) =>
      Buffer.concat([
        ...[13, 13, 1].map(u32),
        Buffer.from([0xb, 0]),
        Buffer.from(digests['sha256'] ?? '', 'hex'),
        u32(0),
      ]),
    ),
  ]);
  const bundle = makeBundle({
    claims: { tlsSpki: other, logKey },
    events: [...startEvents(), ...forged],
    bundle: { eventLogs: { tpm: forged, rtmr: [], firmware } },
  });
  const { verified, links } = verifyEvidence(bundle, values, { ...expected, tlsSpki: other });
  assert.equal(verified, false);
  const broken = links.find(({ state }) => state === 'failed');
  assert.equal(broken?.name, 'tpm.event-log');
  assert.match(broken?.what ?? '', /firmware.* register 13/);
});

for (const name of ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'restricted', 'sign'] as const)
  test(`refused: a key that is not ${name}`, () => {
    const { links } = verify(makeBundle({ quote: { attributes: akAttributes & ~attribute[name] } }));
    const found = links.find((link) => link.name === 'tpm.key');
    assert.equal(found?.state, 'failed');
    assert.match(found?.what ?? '', new RegExp(name));
    // Its name is another, so that it is not pinned either.
    assert.equal(links.find((link) => link.name === 'tpm.root')?.state, 'not checked');
  });

test('no changed byte of a signed part is verified', () => {
  const good = makeBundle();
  const [tpm] = good.evidence as readonly TpmBundle[];
  assert.ok(tpm !== undefined);
  const withTpm = (change: Partial<TpmBundle>): Bundle => ({ ...good, evidence: [{ ...tpm, ...change }] });
  const flipped = (bytes: Uint8Array, at: number, bit: number): Uint8Array => {
    const copy = Uint8Array.from(bytes);
    copy[at % copy.length] = (copy[at % copy.length] ?? 0) ^ (1 << bit);
    return copy;
  };
  const parts: readonly ((change: (bytes: Uint8Array) => Uint8Array) => Bundle)[] = [
    (change) => ({ ...good, claims: change(good.claims) }),
    (change) => withTpm({ attest: change(tpm.attest) }),
    (change) => withTpm({ signature: change(tpm.signature) }),
    (change) => withTpm({ publicArea: change(tpm.publicArea) }),
    ...good.eventLogs.tpm.map((_event, index) => (change: (bytes: Uint8Array) => Uint8Array) => ({
      ...good,
      eventLogs: {
        ...good.eventLogs,
        tpm: good.eventLogs.tpm.map((one, at) => (at === index ? { ...one, data: change(one.data) } : one)),
      },
    })),
  ];
  fc.assert(
    fc.property(fc.nat(parts.length - 1), fc.nat(4000), fc.nat(7), (part, at, bit) => {
      const bundle = parts[part]?.((bytes) => flipped(bytes, at, bit));
      assert.ok(bundle !== undefined);
      assert.equal(verify(bundle).verified, false);
    }),
    { numRuns: runs(600) },
  );
  fc.assert(
    fc.property(fc.nat(parts.length - 1), fc.nat(4000), (part, length) => {
      const bundle = parts[part]?.((bytes) => bytes.subarray(0, length % bytes.length));
      assert.ok(bundle !== undefined);
      assert.equal(verify(bundle).verified, false);
    }),
  );
});

test('a bundle in another form is refused', () => {
  const text = Buffer.from(encodeBundle(makeBundle())).toString();
  for (const changed of [
    text.replace('"v": 1', '"v": 2'),
    text.replace('"v": 1', '"v": 1, "more": 1'),
    text.replace('"kind": "tpm"', '"kind": "tpm2"'),
    text.replace('"13": "', '"24": "'),
    text.replace('"recnum": 1', '"recnum": 0'),
    text.replace('"pcclient_std"', '"systemd"'),
    text.replace(/"evidence": \[([\s\S]*?)\n \]/, '"evidence": [$1,$1\n ]'),
    text.slice(1),
    'null',
  ]) {
    assert.notEqual(changed, text);
    assert.throws(() => parseBundle(Buffer.from(changed)), EvidenceFormError, changed.slice(0, 60));
  }
});

test('without evidence that hardware has signed, claims are not looked at', () => {
  const { links, claims: foundClaims } = verifyEvidence({ ...makeBundle(), evidence: [] }, values, expected);
  assert.deepEqual(
    links.map(({ name, state }) => `${name} ${state}`),
    ['evidence.kinds failed', 'claims not checked'],
  );
  assert.equal(foundClaims, undefined);
});

test('reports of SNP and TDX are verified, and the log of RTMR 3 is replayed', () => {
  const rtmr = startEvents().map(({ data }) => event(data, 4));
  const { quote } = makeCase({ version: 5, form: '1.5' });
  const bundle = (log: typeof rtmr): Bundle => ({
    ...makeBundle(),
    evidence: [
      { kind: 'tdx', quote },
      { kind: 'snp', report: new Uint8Array(9), certificates: new Uint8Array() },
    ],
    eventLogs: { tpm: [], rtmr: log },
  });
  const both = { ...values, accept: ['snp', 'tdx'] } as const;
  const { links } = verifyEvidence(bundle(rtmr), both, expected);
  const state = (name: string): string | undefined => links.find((link) => link.name === name)?.state;
  // Its root is one of a test.
  assert.equal(state('tdx.root'), 'failed');
  assert.equal(state('tdx.event-log'), 'failed');
  assert.equal(state('snp.report'), 'failed');
  const without = verifyEvidence(bundle([]), both, expected).links.find(
    ({ name }) => name === 'tdx.event-log',
  );
  assert.equal(without?.state, 'not checked');
});

/** Evidence of a genuine TDX guest that has measured nothing into RTMR 3: its own report data, and no log. */
function unmeasured(waive: readonly string[]): Verification {
  const bundle = { ...makeBundle(), eventLogs: { tpm: [], rtmr: [] } };
  const template = { version: 5, form: '1.5' } as const;
  const {
    tcbInfos,
    qeIdentities,
    certificates,
    lists,
    at,
    roots,
    quotingEnclave,
    mrConfigId,
    values: tuples,
  } = makeCase(template);
  const quote = makeQuote(template, {
    body: (report) => report.set(reportDataOf(bundle.claims), At.reportData),
  });
  const files = [...tcbInfos, ...qeIdentities, ...certificates, ...lists];
  const collateral = parseCollateral(new Map(files.map((bytes, index) => [`${index}`, bytes])));
  return verifyEvidence(
    { ...bundle, evidence: [{ kind: 'tdx', quote }] },
    { ...values, accept: ['tdx'], tdx: parseTdxValues(tuples), waive },
    expected,
    {
      collateral,
      intel: { roots, quotingEnclave },
      ...(at === undefined ? {} : { at }),
      ...(mrConfigId === undefined ? {} : { mrConfigId }),
    },
  );
}

test('to waive a log is not to waive what rests on it: each is named, or costs the result (S45)', () => {
  const broken = (...waive: readonly string[]): readonly string[] =>
    unmeasured(waive)
      .links.filter(({ state, waived }) => state !== 'ok' && !waived)
      .map(({ name, state, what }) => `${name} ${state}: ${what}`);
  const rests = 'not checked: rests on tdx.event-log, which is not checked: nothing was measured';
  assert.deepEqual(broken('tdx.event-log'), [`tdx.configuration ${rests}`, `tdx.keys ${rests}`]);
  assert.equal(unmeasured(['tdx.event-log']).verified, false);
  assert.deepEqual(broken('tdx.event-log', 'tdx.configuration'), [`tdx.keys ${rests}`]);
  // What rests on it can be waived by name, and not without it.
  assert.match(broken('tdx.configuration', 'tdx.keys')[0] ?? '', /^tdx\.event-log not checked/);
  assert.equal(unmeasured(['tdx.event-log', 'tdx.configuration', 'tdx.keys']).result, 'verified');
});
