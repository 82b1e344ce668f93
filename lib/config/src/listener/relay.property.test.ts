import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { runs, timesSeen } from '@kata-agent/base/testing';
import * as fc from 'fast-check';
import { loadConfiguration } from '../index.js';
import { dropIns, inputsOf } from '../loading.test.fixture.js';

const pem = (label: string): string => `-----BEGIN ${label}-----\nAAAA\n-----END ${label}-----\n`;
const ca = JSON.stringify(pem('CERTIFICATE'));
const crl = JSON.stringify(pem('X509 CRL'));

const certificatePeers = fc.uniqueArray(fc.constantFrom('cn:a', 'cn:b', 'uri:spiffe://example/ops/*'), {
  minLength: 1,
});
const anyPeers = fc.oneof(certificatePeers, fc.constantFrom(['*'], ['host'], ['uid:0'], ['any']));
const count = fc.integer({ min: 1, max: 100 });
const limits = fc.record(
  { connections: count, handshakes: count, handshakes_per_second: count },
  { requiredKeys: [] },
);

const anyKeys = fc.record(
  {
    relay: fc.constantFrom('trusted', 'operator-tls'),
    clientCa: fc.constant(true),
    clientCrl: fc.constant(true),
    peers: anyPeers,
    limits,
    timeout: count,
  },
  { requiredKeys: [] },
);
const base = fc.oneof(
  { weight: 4, arbitrary: anyKeys },
  // Few of the others are valid.
  { weight: 1, arbitrary: anyKeys.map(({ timeout = 30 }) => ({ relay: 'trusted' as const, timeout })) },
);
type Base = typeof anyKeys extends fc.Arbitrary<infer T> ? T : never;
const narrowing = fc.record({ peers: certificatePeers, limits }, { requiredKeys: [] });
type Narrowing = typeof narrowing extends fc.Arbitrary<infer T> ? T : never;

function tableOf(values: object | undefined, more: readonly string[] = []): readonly string[] {
  const entries = [...Object.entries(values ?? {}).map(([key, value]) => `${key} = ${value}`), ...more];
  return entries.length === 0 ? [] : [`limits = { ${entries.join(', ')} }`];
}

function textOf({ relay, clientCa, clientCrl, peers, limits: own, timeout }: Base): string {
  return [
    '[api]',
    'allowed_endpoints = ["*"]',
    '[delivery]',
    'accept = ["drop_ins"]',
    'required = false',
    '[[listener]]',
    'name = "r"',
    'address = "https://realm.example/"',
    ...(relay === undefined ? [] : [`relay = "${relay}"`]),
    ...(peers === undefined ? [] : [`peers = ${JSON.stringify(peers)}`]),
    ...tableOf(own, timeout === undefined ? [] : [`handshake_timeout = "${timeout}s"`]),
    '[listener.tls]',
    `server_ca = ${ca}`,
    ...(clientCa === undefined ? [] : [`client_ca = ${ca}`]),
    ...(clientCrl === undefined ? [] : [`client_crl = ${crl}`]),
    '',
  ].join('\n');
}

function laterText({ peers, limits: own }: Narrowing): string {
  const lines = [...(peers === undefined ? [] : [`peers = ${JSON.stringify(peers)}`]), ...tableOf(own)];
  return ['[[listener]]', 'name = "r"', ...lines, ''].join('\n');
}

function isCertificates(peers: readonly string[]): boolean {
  return peers.every((peer) => peer === '*' || peer.includes(':')) && !peers.includes('uid:0');
}

/** Whether a document is accepted, restated: each key has an effect, or the document is refused. */
function isValid(
  { relay, clientCa, clientCrl, peers, limits: own }: Base,
  later: readonly Narrowing[],
): boolean {
  if (relay !== 'trusted') return clientCa === true && peers !== undefined && isCertificates(peers);
  return (
    clientCa === undefined &&
    clientCrl === undefined &&
    peers === undefined &&
    Object.keys(own ?? {}).length === 0 &&
    later.every((document) => document.peers === undefined)
  );
}

test('over random stacks: what a dialling listener accepts has an effect, and further documents only narrow', async () => {
  const seen = { trusted: 0, operators: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(base, fc.array(narrowing, { maxLength: 3 }), async (own, later) => {
      const drops = Object.fromEntries(later.map((each, index) => [`d${index}`, laterText(each)]));
      const loaded = await loadConfiguration(inputsOf(textOf(own), { delivery: [dropIns(drops)] }));
      assert.equal(loaded.ok, isValid(own, later), textOf(own));
      if (!loaded.ok) {
        seen.refused += 1;
        return;
      }
      const [listener] = loaded.configuration.listeners;
      const dial = listener?.dial ?? assert.fail('it does not dial');
      if (own.relay === 'trusted') {
        seen.trusted += 1;
        assert.deepEqual(dial.relay, { kind: 'trusted' });
        assert.deepEqual(listener?.peers, []);
        return;
      }
      seen.operators += 1;
      assert.ok(dial.relay.kind === 'operator-tls');
      const { callers } = dial.relay;
      assert.notEqual(callers.clientCa, '');
      assert.equal(callers.clientCrl !== undefined, own.clientCrl === true);
      // Each list of each document must match.
      for (const { peers } of [own, ...later])
        if (peers !== undefined)
          assert.ok(listener?.peers.some((list) => isDeepStrictEqual(new Set(list), new Set(peers))));
      const min = (key: keyof NonNullable<Base['limits']>, usual: number): number =>
        Math.min(own.limits?.[key] ?? usual, ...later.flatMap((each) => each.limits?.[key] ?? []));
      assert.equal(listener?.limits.connections, min('connections', 64));
      assert.equal(callers.limits.handshakes, min('handshakes', 8));
      assert.equal(callers.limits.handshakesPerSecond, min('handshakes_per_second', 20));
      assert.equal(dial.handshakeTimeoutMs, callers.limits.handshakeTimeoutMs);
    }),
    { numRuns: runs(1_000) },
  );
  for (const [what, times] of Object.entries(seen)) assert.ok(times > timesSeen(20), `${what}: ${times}`);
});
