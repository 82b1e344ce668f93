import { type OperatorVerb, operatorVerbs } from '@kata-agent/catalogue';
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { managementMethods, membersOf, methodNames } from '@kata-agent/catalogue';
import {
  type Certificate,
  encodeName,
  grantsPeer,
  makeCertificate,
  parseCertificate,
  parsePeerEntry,
  subjectAltName,
} from '@kata-agent/x509';
import * as fc from 'fast-check';
import type { Authorization, LiveGuest } from './guest-acceptance.js';
import { parseAuthorization } from './parse-authorization.js';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

function certificateOf(commonName: string, uri: string): Certificate {
  return parseCertificate(
    makeCertificate(
      {
        issuer: encodeName([[{ type: 'CN', text: 'CA' }]]),
        subject: encodeName([[{ type: 'CN', text: commonName }]]),
        notBefore: 0,
        notAfter: 2_000_000_000_000,
        publicKey,
        extensions: [subjectAltName([{ kind: 'uri', value: uri }])],
      },
      privateKey,
    ),
  );
}

const certificates = [
  certificateOf('alice', 'spiffe://example/ops/alice'),
  certificateOf('bob', 'spiffe://example/ops/bob'),
  certificateOf('eve', 'spiffe://other/eve'),
];
const peerTexts = [
  'cn:alice',
  'cn:bob',
  'uri:spiffe://example/ops/*',
  'uri:spiffe://example/ops/bob',
  'spki:sha256:' + '0'.repeat(64),
];
const patterns = ['web', 'batch-*', 'b*', '*', 'db'];
const names = ['web', 'batch', 'batch-1', 'batch-2', 'db', 'webx', 'w'];

interface OperatorText {
  readonly peers: readonly string[];
  readonly guests: readonly string[];
  readonly verbs: readonly OperatorVerb[];
  readonly methods: readonly string[];
}

const operatorText: fc.Arbitrary<OperatorText> = fc.record({
  peers: fc.uniqueArray(fc.constantFrom(...peerTexts), { minLength: 1, maxLength: 3 }),
  guests: fc.uniqueArray(fc.constantFrom(...patterns), { minLength: 1, maxLength: 3 }),
  verbs: fc.uniqueArray(fc.constantFrom(...operatorVerbs), { minLength: 1 }),
  methods: fc.uniqueArray(
    fc.constantFrom('ExecProcess', '@stdio', '@pod', 'Describe', 'WatchAudit', 'GetMetrics'),
    { maxLength: 3 },
  ),
});

function parsed(text: string): Authorization {
  const result = parseAuthorization(Buffer.from(text), 'realm.toml');
  assert.ok(result.ok, result.ok ? '' : JSON.stringify(result.diagnostics));
  return result.authorization;
}

function written({ peers, guests, verbs, methods }: OperatorText): string {
  const given = verbs.includes('connect') ? `methods = ${JSON.stringify(methods)}\nrelease = "3.21"\n` : '';
  return `[[operator]]\npeers = ${JSON.stringify(peers)}\nguests = ${JSON.stringify(guests)}\nverbs = ${JSON.stringify(verbs)}\n${given}`;
}

const fits = (pattern: string, name: string): boolean =>
  new RegExp(`^${pattern.replace('*', '.*')}$`).test(name);

/** Written anew, from the text of docs/adr/realm.md. */
function expands(entry: string, method: string): boolean {
  return (
    (entry === method && !entry.startsWith('@')) ||
    (entry.startsWith('@') && (membersOf(entry as '*', '3.21') as readonly string[]).includes(method))
  );
}

test('an operator may do what one of its entries allows, the union, and nothing else', () => {
  fc.assert(
    fc.property(fc.array(operatorText, { maxLength: 4 }), (entries) => {
      const authorization = parsed(entries.map(written).join(''));
      for (const certificate of certificates) {
        const own = entries.filter(({ peers }) =>
          peers.some((peer) => grantsPeer(parsePeerEntry(peer), certificate)),
        );
        const operator = authorization.operator(certificate);
        assert.equal(operator !== undefined, own.length > 0);
        for (const name of names) {
          const about = own.filter(({ guests }) => guests.some((pattern) => fits(pattern, name)));
          for (const verb of operatorVerbs)
            assert.equal(
              operator?.may(verb, { name }) ?? false,
              about.some((entry) => entry.verbs.includes(verb)),
            );
          for (const method of [...methodNames, ...managementMethods, 'Frobnicate', '@pod', '*', ''])
            assert.equal(
              operator?.mayCall(method, { name }) ?? false,
              about.some(
                (entry) =>
                  entry.verbs.includes('connect') && entry.methods.some((each) => expands(each, method)),
              ),
              `${method} of ${name}`,
            );
        }
      }
    }),
    { numRuns: 60 },
  );
});

test('an operator is named by its certificate', () => {
  const [alice] = certificates;
  assert.ok(alice);
  const nameBy = (peer: string): string | undefined =>
    parsed(`[[operator]]\npeers = ["${peer}"]\nguests = ["*"]\nverbs = ["list"]`).operator(alice)?.name;
  assert.equal(nameBy('uri:spiffe://example/ops/*'), 'uri:spiffe://example/ops/alice');
  assert.equal(nameBy('cn:alice'), 'cn:alice');
  assert.equal(nameBy('*'), 'uri:spiffe://example/ops/alice');
  assert.equal(nameBy(`spki:sha256:${alice.spki}`), `spki:sha256:${alice.spki}`);
  assert.equal(nameBy('cn:bob'), undefined);
});

const digests = ['1', '2', '3'].map((digit) => `sha256:${digit.repeat(64)}`);
const ids = ['a', 'b', 'c', 'd', 'e'].map((digit) => digit.repeat(64));

const guestText = fc.record({
  configurations: fc.option(
    fc.oneof(fc.constant(['*']), fc.uniqueArray(fc.constantFrom(...digests), { minLength: 1, maxLength: 2 })),
    { nil: undefined },
  ),
  keys: fc.option(fc.uniqueArray(fc.constantFrom(...ids), { minLength: 1, maxLength: 2 }), {
    nil: undefined,
  }),
  max: fc.integer({ min: 1, max: 3 }),
});

test('guests come and go: none is accepted that no entry accepts, and a newcomer never gets a live name', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(
        guestText.filter(({ configurations, keys }) => configurations !== undefined || keys !== undefined),
        { maxLength: 3, comparator: () => false },
      ),
      fc.array(
        fc.record({
          id: fc.constantFrom(...ids),
          digest: fc.option(fc.constantFrom(...digests), { nil: undefined }),
          leaves: fc.boolean(),
        }),
        { maxLength: 20 },
      ),
      (entries, events) => {
        const text = entries
          .map(({ configurations, keys, max }, index) =>
            [
              `[[guest]]\nname = "g${index}"\nmax = ${max}`,
              ...(configurations === undefined ? [] : [`configurations = ${JSON.stringify(configurations)}`]),
              ...(keys === undefined
                ? []
                : [`keys = ${JSON.stringify(keys.map((id) => `spki:sha256:${id}`))}`]),
            ].join('\n'),
          )
          .join('\n');
        const authorization = parsed(text);
        const live = new Map<string, LiveGuest>();
        for (const { id, digest, leaves } of events) {
          if (leaves) {
            live.delete(id);
            continue;
          }
          const acceptance = authorization.accept({ id, configurationDigest: digest, attested: false }, [
            ...live.values(),
          ]);
          const accepting = entries.filter(
            ({ configurations, keys }) =>
              (keys === undefined || keys.includes(id)) &&
              (configurations === undefined ||
                configurations.join() === '*' ||
                configurations.some((each) => each === digest)),
          );
          if (!acceptance.ok) continue;
          assert.ok(accepting.length > 0, 'no entry accepts it');
          const { name, entry } = acceptance;
          for (const other of live.values()) assert.ok(other.id === id || other.name !== name);
          live.set(id, { id, name, entry });
          const max = entries[Number(entry.slice(1))]?.max ?? 0;
          assert.ok([...live.values()].filter((guest) => guest.entry === entry).length <= max);
        }
      },
    ),
  );
});
