import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { runs, timesSeen } from '@kata-agent/base/testing';
import * as fc from 'fast-check';
import { type Configuration, type ListenerSettings, loadConfiguration } from '../index.js';
import { delivering, dropIns, inputsOf } from '../loading.test.fixture.js';

/** Each value names the document that has it: `b` is the base. */
type Values = Readonly<Record<string, (document: string) => string>>;

const pem = (document: string, label = 'CERTIFICATE'): string =>
  JSON.stringify(
    `-----BEGIN ${label}-----\n${Buffer.from(document.padEnd(6, '-')).toString('base64')}\n-----END ${label}-----\n`,
  );
const pin = (document: string): string =>
  `["spki:sha256:${createHash('sha256').update(document).digest('hex')}"]`;

const callers: Values = {
  peers: (document) => `["cn:${document}"]`,
  'tls.client_ca': (document) => pem(document),
  'tls.client_crl': (document) => pem(document, 'X509 CRL'),
};
const values: Readonly<Record<'tenant' | 'realm', Values>> = {
  tenant: callers,
  realm: {
    address: (document) => `"https://${document}.example/"`,
    'tls.server_ca': (document) => pem(document),
    'tls.pins': pin,
    ...callers,
  },
};
const names = Object.entries(values).flatMap(([listener, keys]) =>
  Object.keys(keys).map((key) => `${listener}.${key}`),
);
/** The keys of operators, which a server that is trusted has not. */
const ofOperators = Object.keys(callers).map((key) => `realm.${key}`);
const isPeers = (name: string): boolean => name.endsWith('.peers');

/** What a document writes: keys of listeners, some of which nothing lets it set. */
const keys = fc.uniqueArray(fc.constantFrom(...names, 'tenant.tls.server_ca', 'tenant.address'), {
  maxLength: 4,
});
const source = fc.constantFrom('fw_cfg', 'kernel_line', 'drop_ins', 'unaccepted');
const stack = fc.record({
  relay: fc.constantFrom('trusted', 'operator-tls', 'default'),
  /** The keys of operators that documents can have although the server is trusted, which is always an error. */
  confused: fc.oneof(
    { weight: 3, arbitrary: fc.constant<string[]>([]) },
    { weight: 1, arbitrary: fc.subarray(ofOperators) },
  ),
  /** Of each key: whether the base sets it, leaves it to others, or neither. */
  base: fc.tuple(
    ...names.map((name) =>
      // Most bases are to be valid: what a listener needs is rarely forgotten.
      fc.constantFrom<'set' | 'left' | 'none'>(
        'left',
        'left',
        'set',
        ...(/pins|crl/.test(name) ? (['none'] as const) : []),
      ),
    ),
  ),
  later: fc.array(
    fc.tuple(
      source,
      fc.oneof(
        { weight: 3, arbitrary: fc.subarray(['tenant.peers', 'realm.peers']) },
        { weight: 1, arbitrary: keys },
      ),
    ),
    { maxLength: 3 },
  ),
  /** Documents that share what is left; half of it can be missing. */
  complete: fc.constantFrom(['fw_cfg'], ['kernel_line'], ['fw_cfg', 'kernel_line'], ['fw_cfg', 'unaccepted']),
  bind: fc.constantFrom('host_data', 'host_data', 'host_data', 'pin', 'other pin', 'none'),
});

function linesOf(document: string, listener: 'tenant' | 'realm', written: readonly string[]): string {
  const own = written.filter((name) => name.startsWith(`${listener}.`));
  return own
    .map((name) => {
      const key = name.slice(listener.length + 1);
      const value = values[listener][key] ?? (values.tenant[key] ?? values.realm[key])?.bind(undefined);
      return `${key} = ${value?.(document) ?? '"tls://0.0.0.0:1"'}\n`;
    })
    .join('');
}

function documentOf(name: string, written: readonly string[]): string {
  return (['tenant', 'realm'] as const)
    .map((listener) => [listener, linesOf(name, listener, written)] as const)
    .filter(([, lines]) => lines !== '')
    .map(([listener, lines]) => `[[listener]]\nname = "${listener}"\n${lines}`)
    .join('');
}

function has(listeners: Configuration['listeners'], name: string): (document: string) => boolean {
  const [listener = '', ...rest] = name.split('.');
  const key = rest.join('.');
  const found: ListenerSettings | undefined = listeners.find((each) => each.name === listener);
  const relay = found?.dial?.relay;
  const verified = relay?.kind === 'operator-tls' ? relay.callers : found?.tls;
  return (document) => {
    const value = values[listener as 'tenant' | 'realm'][key]?.(document) ?? assert.fail(name);
    const is: unknown = {
      address: found?.address,
      peers: found?.peers[0],
      'tls.client_ca': verified?.clientCa,
      'tls.client_crl': verified?.clientCrl,
      'tls.server_ca': found?.dial?.serverCa,
      'tls.pins': found?.dial?.pins.length === 0 ? undefined : found?.dial?.pins,
    }[key];
    return is !== undefined && JSON.stringify(is) === JSON.stringify(JSON.parse(value));
  };
}

test('over random stacks: only what may_set names is set, once, and by a bound document', async () => {
  const loaded = { trusted: 0, 'operator-tls': 0, default: 0 };
  const set = new Map(names.map((name) => [name, 0]));
  await fc.assert(
    fc.asyncProperty(stack, async ({ relay, confused, base, later, complete, bind }) => {
      const isTrusted = relay === 'trusted';
      const omits = (name: string): boolean =>
        isTrusted && ofOperators.includes(name) && !confused.includes(name);
      const state = new Map(
        names.map((name, index) => [name, omits(name) ? ('none' as const) : (base[index] ?? 'none')]),
      );
      const left = names.filter((name) => state.get(name) === 'left');
      const shares = complete.map(
        (way, part) => [way, left.filter((_, index) => index % complete.length === part)] as const,
      );
      const delivered = [...later, ...shares].map(([way, written], index) => ({
        way,
        written: written.filter((name) => !omits(name)),
        name: `d${index}`,
      }));
      const envelope = Buffer.from('one envelope for all, as no host has it');
      const digest = createHash('sha256').update(envelope).digest();
      const pins: Readonly<Record<string, string>> = {
        pin: `sha256:${digest.toString('hex')}`,
        'other pin': `sha256:${'0'.repeat(64)}`,
      };
      const text = [
        '[api]\nallowed_endpoints = ["*"]\n',
        `[delivery]\naccept = ["drop_ins", "fw_cfg", "kernel_line"]\nbind = "${pins[bind] ?? bind}"\n`,
        `may_set = ${JSON.stringify(left.map((name) => `listener.${name}`))}\n`,
        '[[listener]]\nname = "tenant"\naddress = "tls://0.0.0.0:8443"\n',
        linesOf(
          'b',
          'tenant',
          names.filter((name) => state.get(name) === 'set'),
        ),
        '[[listener]]\nname = "realm"\n',
        relay === 'default' ? '' : `relay = "${relay}"\n`,
        linesOf(
          'b',
          'realm',
          names.filter((name) => state.get(name) === 'set'),
        ),
      ].join('');
      const of = (way: string): Record<string, string> =>
        Object.fromEntries(
          delivered.flatMap((each) =>
            each.way === way ? [[each.name, documentOf(each.name, each.written)]] : [],
          ),
        );
      const outcome = await loadConfiguration(
        inputsOf(text, {
          delivery: [
            dropIns(of('drop_ins')),
            delivering('fw_cfg', of('fw_cfg'), { envelope }),
            delivering('kernel_line', of('kernel_line'), { envelope }),
          ],
          hostData: () => ({ ok: true, kind: 'HOSTDATA', bytes: digest }),
        }),
      );
      if (!outcome.ok) return;
      loaded[relay] += 1;
      const { listeners } = outcome.configuration;
      assert.equal(listeners[1]?.dial?.relay.kind, isTrusted ? 'trusted' : 'operator-tls');
      assert.deepEqual(
        listeners.map(({ name }) => name),
        ['tenant', 'realm'],
      );
      assert.equal(listeners[0]?.address, 'tls://0.0.0.0:8443');
      for (const name of names) {
        const isOperators = isTrusted && ofOperators.includes(name);
        const fromBase = has(listeners, name)('b');
        const writers = delivered.filter(
          ({ written, way }) => written.includes(name) && way !== 'unaccepted',
        );
        const setters = writers.filter(({ name: document }) => has(listeners, name)(document));
        if (isOperators) {
          assert.equal(state.get(name), 'none', `${name} with relay = "trusted"`);
          assert.deepEqual(writers, [], `${name} was written with relay = "trusted"`);
        }
        if (state.get(name) === 'set') assert.ok(fromBase, `${name} of the base was replaced`);
        if (state.get(name) !== 'left') {
          assert.deepEqual(setters, [], `${name} was set and not named`);
          if (!isPeers(name)) assert.deepEqual(writers, [], `${name} was written and not named`);
          continue;
        }
        assert.ok(bind === 'host_data' || bind === 'pin', `${name} was set with bind = "${bind}"`);
        for (const { way } of setters) if (!isPeers(name)) assert.notEqual(way, 'drop_ins', name);
        if (!isPeers(name)) assert.ok(writers.length <= 1, `${name} was set twice`);
        else {
          assert.ok(
            writers.some(({ way }) => way !== 'drop_ins'),
            'only a drop-in set peers',
          );
          const listener = listeners.find((each) => name === `${each.name}.peers`);
          assert.equal(listener?.peers.length, writers.length);
        }
        if (setters.length > 0) set.set(name, (set.get(name) ?? 0) + 1);
      }
    }),
    { numRuns: runs(3000) },
  );
  for (const [relay, times] of Object.entries(loaded))
    assert.ok(times > timesSeen(60), `only ${times} stacks with ${relay} were loaded`);
  for (const [name, times] of set) assert.ok(times > timesSeen(40), `${name} was set only ${times} times`);
});
