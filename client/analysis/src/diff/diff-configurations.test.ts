import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runs } from '@kata-agent/base/testing';
import { type MethodName, methodNames } from '@kata-agent/catalogue';
import type { Configuration, ListenerSettings, OperatorGrant, Rule } from '@kata-agent/config';
import * as fc from 'fast-check';
import { configurationOf } from '../testing/configuration-of.js';
import { diffConfigurations, opensAnything } from './diff-configurations.js';
import { renderDifferences } from './difference.js';

const span = { file: 'config.toml', line: 1, column: 1, endColumn: 2 };

/** Returns the differences in short form: `opens endpoint ExecProcess`. */
async function differences(before: string, after: string): Promise<readonly string[]> {
  return short(await configurationOf(before), await configurationOf(after));
}

function short(before: Configuration, after: Configuration): readonly string[] {
  return diffConfigurations(before, after).map(({ effect, about, name }) => `${effect} ${about} ${name}`);
}

const pod = '[api]\nallowed_endpoints = ["@pod"]\n';

test('the same document, or the same list in another notation, has no differences', async () => {
  assert.deepEqual(await differences(pod, pod), []);
  const written = '[api]\nallowed_endpoints = ["ReadStdout", "ReadStderr"]\n';
  assert.deepEqual(await differences(written, '[api]\n# logs\nallowed_endpoints = ["@logs"]\n'), []);
});

test('an endpoint that is newly served opens, with the reasons of both', async () => {
  const before = await configurationOf(pod);
  const after = await configurationOf('[api]\nallowed_endpoints = ["@pod", "ExecProcess"]\n');
  const [difference, ...rest] = diffConfigurations(before, after);
  assert.deepEqual(rest, []);
  assert.deepEqual(difference, {
    effect: 'opens',
    about: 'endpoint',
    name: 'ExecProcess',
    listener: 'server_addr',
    before: 'not served: not in allowed_endpoints (config.toml:2)',
    after: 'served: in allowed_endpoints (config.toml:2)',
    why: 'served now',
  });
  assert.deepEqual(short(after, before), ['closes endpoint ExecProcess']);
});

test('property: exactly the endpoints that only the new lists serve are opened', async () => {
  const names = fc.subarray([...methodNames]);
  const lists = fc.record({ allowed: names, blocked: names });
  await fc.assert(
    fc.asyncProperty(lists, lists, async (old, now) => {
      const text = ({ allowed, blocked }: typeof old): string =>
        `[api]\nallowed_endpoints = ${JSON.stringify(allowed)}\nblocked_endpoints = ${JSON.stringify(blocked)}\n`;
      const serves = ({ allowed, blocked }: typeof old, name: MethodName): boolean =>
        allowed.includes(name) && !blocked.includes(name);
      const found = diffConfigurations(await configurationOf(text(old)), await configurationOf(text(now)));
      const expected = (from: typeof old, to: typeof old): readonly string[] =>
        methodNames.filter((name) => serves(to, name) && !serves(from, name));
      const named = (effect: string): readonly string[] =>
        found
          .filter((difference) => difference.about === 'endpoint' && difference.effect === effect)
          .map(({ name }) => name);
      assert.deepEqual(named('opens'), expected(old, now));
      assert.deepEqual(named('closes'), expected(now, old));
    }),
    { numRuns: runs(50) },
  );
});

const rule: Rule = {
  name: 'known-commands',
  methods: new Map([['ExecProcess', { entry: 'ExecProcess', span }]]),
  expression: 'args[0] == "/bin/check"',
  enforcement: 'enforce',
  span,
};

async function withRules(...rules: readonly Rule[]): Promise<Configuration> {
  const configuration = await configurationOf('[api]\nallowed_endpoints = ["@pod", "ExecProcess"]\n');
  const [document] = configuration.api.documents;
  assert.ok(document !== undefined);
  return { ...configuration, api: { ...configuration.api, documents: [{ ...document, rules }] } };
}

test('rules: added closes, removed opens, and a change that is not known to narrow counts as opening', async () => {
  const without = await withRules();
  const one = await withRules(rule);
  assert.deepEqual(short(without, one), ['closes rule known-commands']);
  assert.deepEqual(short(one, without), ['opens rule known-commands']);
  const changed = await withRules({ ...rule, expression: 'args[0] == "/bin/other"' });
  const [difference] = diffConfigurations(one, changed);
  assert.equal(difference?.effect, 'opens');
  assert.match(difference?.why ?? '', /is unknown: counts as opening/);
  assert.deepEqual(short(one, await withRules({ ...rule, expression: ` ${rule.expression}\n` })), []);
});

test('rules: enforcement, methods, message, name', async () => {
  const one = await withRules(rule);
  const audit = await withRules({ ...rule, enforcement: 'audit' });
  assert.deepEqual(short(one, audit), ['opens rule known-commands']);
  assert.deepEqual(short(audit, one), ['closes rule known-commands']);
  assert.deepEqual(short(await withRules(), audit), ['changes rule known-commands']);
  assert.deepEqual(short(audit, await withRules()), ['changes rule known-commands']);
  const wider = await withRules({
    ...rule,
    methods: new Map([...rule.methods, ['CreateContainer', { entry: 'CreateContainer', span }]]),
  });
  assert.deepEqual(short(one, wider), ['closes rule known-commands']);
  assert.deepEqual(short(wider, one), ['opens rule known-commands']);
  assert.deepEqual(short(one, await withRules({ ...rule, message: 'no' })), ['changes rule known-commands']);
  assert.deepEqual(short(one, await withRules({ ...rule, name: 'other' })), ['changes rule other']);
  const unserved = new Map([['CopyFile', { entry: 'CopyFile', span }]] as const);
  assert.deepEqual(short(await withRules({ ...rule, methods: unserved }), await withRules()), [
    'changes rule known-commands',
  ]);
});

async function listening(...listeners: readonly ListenerSettings[]): Promise<Configuration> {
  return { ...(await configurationOf(pod)), listeners };
}

test('listeners: added, removed, peers, address, name', async () => {
  const host: ListenerSettings = {
    name: 'host',
    address: 'vsock://-1:1024',
    peers: [['host']],
    onDeniedRead: 'error',
    limits: { connections: 64 },
    management: [],
  };
  const other: ListenerSettings = { ...host, name: 'other', address: 'unix:///run/a' };
  const one = await listening(host);
  const two = await listening(host, other);
  assert.equal(short(one, two)[0], 'opens listener other');
  assert.ok(short(one, two).includes('opens endpoint CreateContainer'));
  assert.equal(short(two, one)[0], 'closes listener other');
  assert.ok(!opensAnything(diffConfigurations(two, one)));
  const anybody = await listening({ ...host, peers: [['any']] });
  assert.deepEqual(short(one, anybody), ['opens listener host']);
  assert.deepEqual(short(anybody, one), ['closes listener host']);
  assert.deepEqual(short(one, await listening({ ...host, address: 'unix:///run/b' })), [
    'opens listener host',
  ]);
  assert.deepEqual(short(one, await listening({ ...host, name: 'renamed' })), ['changes listener renamed']);
  const moved = await listening({ ...host, name: 'moved', address: 'unix:///run/c' });
  assert.deepEqual(short(one, moved), ['changes listener moved', 'opens listener moved']);
  const narrowed = await listening({
    ...host,
    peers: [
      ['host', 'cid:3'],
      ['cid:3', 'cid:4'],
    ],
  });
  const loose = await listening({ ...host, peers: [['host', 'cid:3']] });
  assert.deepEqual(short(loose, narrowed), ['closes listener host']);
  assert.deepEqual(short(narrowed, loose), ['opens listener host']);
  const few = await listening({ ...host, limits: { connections: 4 }, management: [] });
  assert.deepEqual(short(one, few), ['closes listener host']);
  assert.deepEqual(short(few, one), ['opens listener host']);
  const ended = await listening({ ...host, onDeniedRead: 'eof' });
  assert.deepEqual(short(one, ended), ['changes listener host']);
});

test('settings have the direction of their row', async () => {
  for (const [before, after, expected] of [
    ['', '[agent]\ndebug_console = true\n', ['opens setting agent.debug_console']],
    ['[agent]\nhooks = "allow"\n', '', ['closes setting agent.hooks']],
    ['[agent]\nhooks = "cdi"\n', '[agent]\nhooks = "allow"\n', ['opens setting agent.hooks']],
    ['[agent]\nhooks = "allow"\n', '[agent]\nhooks = "cdi"\n', ['closes setting agent.hooks']],
    ['[limits]\ncontainers = 8\n', '[limits]\ncontainers = 9\n', ['opens setting limits.containers']],
    ['[limits]\ncontainers = 8\n', '[limits]\ncontainers = 7\n', ['closes setting limits.containers']],
    ['', '[agent]\nlog_level = "debug"\n', ['changes setting agent.log_level']],
    ['[audit]\non_failure = "refuse-all"\n', '', ['opens setting audit.on_failure']],
    ['[measurement]\ntpm = "require"\n', '[measurement]\ntpm = "try"\n', ['opens setting measurement.tpm']],
    ['[measurement]\ntpm = "require"\n', '[measurement]\ntpm = "require"\n', []],
    ['', '[agent]\nsecure_storage_integrity = false\n', ['opens setting agent.secure_storage_integrity']],
  ] as const)
    assert.deepEqual(await differences(pod + before, pod + after), expected, `${before} → ${after}`);
});

test('removing a release opens later methods; an earlier release closes them', async () => {
  const pinned = '[api]\nallowed_endpoints = ["*"]\nrelease = "2.0.0"\n';
  const free = '[api]\nallowed_endpoints = ["*"]\n';
  const found = await differences(pinned, free);
  assert.ok(found.includes('opens setting api.release'));
  assert.ok(found.includes('opens endpoint RemoveStaleVirtiofsShareMounts'));
  const back = await differences(free, pinned);
  assert.ok(back.includes('closes setting api.release'));
  assert.ok(!back.some((line) => line.startsWith('opens')));
});

test('overrides open and close by lock, overridable and a restricted API', async () => {
  const locked = `[agent]\nlock = true\n${pod}`;
  assert.deepEqual(await differences(pod, locked), ['closes setting agent.overridable']);
  assert.deepEqual(await differences(locked, pod), ['opens setting agent.overridable']);
  const console = `[agent]\noverridable = ["debug_console"]\n${pod}`;
  const found = diffConfigurations(await configurationOf(pod), await configurationOf(console));
  assert.deepEqual(
    found.map(({ effect }) => effect),
    ['opens', 'closes'],
  );
  assert.match(found[0]?.why ?? '', /can set debug_console/);
});

test('delivery: a document that narrowed and may no longer arrive opens', async () => {
  const settings = await configurationOf(pod);
  const delivering = (accept: readonly string[], required: boolean, bind = 'host_data'): Configuration => ({
    ...settings,
    values: settings.values.map((value) =>
      value.section === 'delivery' && value.key !== 'drop_in_dir'
        ? { ...value, value: { accept, required, bind }[value.key as 'accept' | 'required' | 'bind'] }
        : value,
    ),
  });
  const none = delivering([], true);
  const some = delivering(['initdata'], true);
  assert.deepEqual(short(none, some), ['closes setting delivery.accept']);
  assert.deepEqual(short(some, none), ['opens setting delivery.accept']);
  assert.deepEqual(short(some, delivering(['initdata'], false)), ['opens setting delivery.required']);
  assert.deepEqual(short(delivering(['initdata'], false), some), ['closes setting delivery.required']);
  assert.deepEqual(short(some, delivering(['initdata'], true, 'none')), ['opens setting delivery.bind']);
  assert.deepEqual(short(delivering(['initdata'], true, 'none'), some), ['closes setting delivery.bind']);
  assert.deepEqual(short(none, delivering([], false)), ['changes setting delivery.required']);
});

test('the text combines endpoints with equal effect and reason', async () => {
  const text = renderDifferences(
    diffConfigurations(
      await configurationOf(pod),
      await configurationOf('[api]\nallowed_endpoints = ["@pod", "@logs", "ExecProcess"]\n'),
    ),
  );
  assert.match(text, /^opens \(3\)\n/);
  assert.match(text, /\n {2}endpoints ReadStdout, ReadStderr on server_addr: served now\n/);
});

test('the text starts with what opens', async () => {
  const text = renderDifferences(
    diffConfigurations(
      await configurationOf('[api]\nallowed_endpoints = ["@pod", "CopyFile"]\n'),
      await configurationOf('[api]\nallowed_endpoints = ["@pod", "ExecProcess"]\n'),
    ),
  );
  assert.equal(
    text,
    `opens (1)
  endpoint ExecProcess on server_addr: served now
      before: not served: not in allowed_endpoints (config.toml:2)
      after:  served: in allowed_endpoints (config.toml:2)

closes (1)
  endpoint CopyFile on server_addr: no longer served
      before: served: in allowed_endpoints (config.toml:2)
      after:  not served: not in allowed_endpoints (config.toml:2)
`,
  );
});

test('listeners that dial: another CA opens, a pin closes, other pins open', async () => {
  const dial = { serverCa: 'CA', pins: [], relay: { kind: 'trusted' }, handshakeTimeoutMs: 1_000 } as const;
  const realm: ListenerSettings = {
    name: 'realm',
    address: 'https://realm.example/',
    peers: [],
    onDeniedRead: 'error',
    limits: { connections: 1 },
    management: [],
    dial,
  };
  const of = (change: Partial<typeof dial> | { readonly pins: readonly string[] }): Promise<Configuration> =>
    listening({ ...realm, dial: { ...dial, ...change } });
  const [any, one, two] = await Promise.all([of({}), of({ pins: ['a'] }), of({ pins: ['a', 'b'] })]);
  const other = await listening({ ...realm, dial: { ...dial, serverCa: 'other' } });
  assert.deepEqual(short(any, any), []);
  assert.deepEqual(short(any, other), ['opens listener realm']);
  for (const [before, after] of [
    [any, one],
    [any, two],
    [two, one],
  ] as const) {
    assert.deepEqual(short(before, after), ['closes listener realm']);
    assert.deepEqual(short(after, before), ['opens listener realm']);
  }
  assert.deepEqual(short(one, await of({ pins: ['b'] })), ['opens listener realm']);
  const proxied = await listening({ ...realm, dial: { ...dial, proxy: 'http://p:1' } });
  assert.deepEqual(short(any, proxied), ['opens listener realm']);
  assert.deepEqual(short(proxied, any), ['closes listener realm']);
  const listened: ListenerSettings = { ...realm, address: 'vsock://-1:1', peers: [['host']] };
  const { dial: _, ...local } = listened;
  assert.ok(short(await listening(local), any).includes('opens listener realm'));
});

test('listeners that dial: another relay opens; operators are compared as callers of tls:// are', async () => {
  const trusted: ListenerSettings = {
    name: 'realm',
    address: 'https://realm.example/',
    peers: [],
    onDeniedRead: 'error',
    limits: { connections: 64 },
    management: [],
    dial: { serverCa: 'CA', pins: [], relay: { kind: 'trusted' }, handshakeTimeoutMs: 1_000 },
  };
  const limits = { handshakes: 8, handshakesPerSecond: 20, handshakeTimeoutMs: 1_000 };
  const forOperators = (
    clientCa: string,
    peers: readonly string[],
    operators?: readonly OperatorGrant[],
  ): Promise<Configuration> =>
    listening({
      ...trusted,
      peers: [peers],
      dial: {
        serverCa: 'CA',
        pins: [],
        relay: {
          kind: 'operator-tls',
          callers: { clientCa, limits },
          ...(operators === undefined ? {} : { operators }),
        },
        handshakeTimeoutMs: 1_000,
      },
    });
  const [believed, all, one] = await Promise.all([
    listening(trusted),
    forOperators('A', ['cn:a', 'cn:b']),
    forOperators('A', ['cn:a']),
  ]);
  for (const [before, after] of [
    [believed, all],
    [all, believed],
  ] as const)
    assert.deepEqual([...new Set(short(before, after))], ['opens listener realm']);
  assert.deepEqual(short(all, all), []);
  assert.deepEqual(short(all, one), ['closes listener realm']);
  assert.deepEqual(short(one, all), ['opens listener realm']);
  assert.deepEqual(short(one, await forOperators('B', ['cn:a'])), ['opens listener realm']);
  const granted = (...verbs: OperatorGrant['verbs']): Promise<Configuration> =>
    forOperators('A', ['cn:a', 'cn:b'], [{ peers: ['cn:a'], verbs }]);
  const [connects, audits] = await Promise.all([granted('connect'), granted('connect', 'audit')]);
  assert.deepEqual(short(connects, audits), ['opens listener realm']);
  assert.deepEqual(short(audits, connects), ['closes listener realm']);
  assert.deepEqual(short(audits, audits), []);
  // The first grants can give and take.
  assert.deepEqual(short(all, connects), ['opens listener realm', 'closes listener realm']);
  const relay = diffConfigurations(all, believed).find(({ before }) => String(before).startsWith('relay'));
  assert.match(relay?.why ?? '', /the server is believed with each call/);
});

test('what may_set leaves to a delivered document counts as opening', async () => {
  const pem = '-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n';
  const document = (names: string, values: string): Promise<Configuration> =>
    configurationOf(
      `${pod}[delivery]\naccept = ["initdata"]\nmay_set = [${names}]\n[[listener]]\nname = "t"\naddress = "tls://[::]:1"\n${values}`,
      undefined,
      { offline: { later: [], sense: 'warning' } },
    );
  const ca = `tls = { client_ca = "${pem}" }\n`;
  const set = await document('', `peers = ["cn:a"]\n${ca}`);
  const left = await document('"listener.t.peers"', ca);
  assert.deepEqual(short(left, left), []);
  assert.deepEqual(short(set, left), ['opens listener t', 'opens setting delivery.may_set']);
  assert.deepEqual(short(left, set), ['opens listener t', 'closes setting delivery.may_set']);
  const [difference] = diffConfigurations(set, left);
  assert.equal(difference?.after, 'peers of a delivered document');
});

test('what may_set leaves of operators to a delivered document counts as opening once for each key', async () => {
  const pem = '-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n';
  const document = (names: string, values: string): Promise<Configuration> =>
    configurationOf(
      `${pod}[delivery]\naccept = ["initdata"]\nmay_set = [${names}]\n[[listener]]\nname = "t"\naddress = "https://a.example"\ntls.server_ca = "${pem}"\n${values}`,
      undefined,
      { offline: { later: [], sense: 'warning' } },
    );
  const set = await document('', `peers = ["cn:a"]\ntls.client_ca = "${pem}"\n`);
  const left = await document('"listener.t.peers", "listener.t.tls.client_ca"', '');
  const trusted = await document('', 'relay = "trusted"\n');
  assert.deepEqual(short(left, left), []);
  for (const [before, after, keys] of [
    [set, left, ['peers', 'tls.client_ca']],
    [left, set, ['peers', 'tls.client_ca']],
    [trusted, left, ['peers', 'tls.client_ca', 'relay']],
  ] as const) {
    const found = diffConfigurations(before, after).filter(({ about }) => about === 'listener');
    const texts = found.filter(({ effect }) => effect === 'opens').map(({ after: text }) => String(text));
    assert.deepEqual(
      texts.filter((text) => !text.startsWith('connections')).map((text) => text.split(' ')[0]),
      keys,
    );
  }
});

test('witnesses: one more, one less or another place opens; quorum and required_within have a direction', async () => {
  const ca = '-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n';
  const one = 'realm.example/w1+366f6b1e+BOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs';
  const two = 'other.example/w2+8ca1f35a+BBOY9ixtGkV8UbpqS189vS9p/KkyFiGNyJl+QWvRfZPK';
  const entry = (key: string, host = 'w.example'): string =>
    `[[audit.witness]]\nkey = "${key}"\nvia = "https://${host}"\nca = "${ca}"\n`;
  const document = (audit: string, ...entries: readonly string[]): string =>
    `${pod}[audit]\n${audit}\n${entries.join('')}`;
  const [first, both] = [document('', entry(one)), document('', entry(one), entry(two))];
  assert.deepEqual(await differences(first, both), ['opens witness other.example/w2']);
  assert.deepEqual(await differences(both, first), ['opens witness other.example/w2']);
  assert.deepEqual(await differences(first, document('', entry(one, 'x.example'))), [
    'opens witness realm.example/w1',
  ]);
  assert.deepEqual(await differences(both, document('', entry(two), entry(one))), []);
  const quorum = document('witness_quorum = 2', entry(one), entry(two));
  assert.deepEqual(await differences(both, quorum), ['closes setting audit.witness_quorum']);
  assert.deepEqual(await differences(quorum, both), ['opens setting audit.witness_quorum']);
  const [short, long] = ['30s', '1m'].map((time) => document(`required_within = "${time}"`, entry(one)));
  for (const [before, after, effect] of [
    [first, short, 'closes'],
    [short, first, 'opens'],
    [short, long, 'opens'],
    [long, short, 'closes'],
  ])
    assert.deepEqual(await differences(before ?? '', after ?? ''), [
      `${effect} setting audit.required_within`,
    ]);
});

test('signature lists: what images need besides closes, and a closed list that changes opens', async () => {
  const base = await configurationOf(pod);
  type Lists = Configuration['image']['signatures'];
  const list = (closed: boolean, ...scopes: readonly string[]): Lists[number] => ({
    closed,
    entries: scopes.map((scope) => ({ scope, keys: ['key'], formats: ['bundle'] })),
  });
  const effect = (before: Lists, after: Lists): readonly string[] => {
    const having = (signatures: Lists): Configuration => ({ ...base, image: { ...base.image, signatures } });
    return short(having(before), having(after));
  };
  const [opens, closes] = [['opens setting image.signatures'], ['closes setting image.signatures']];
  const first = list(true, 'a/**');
  assert.deepEqual(effect([], [first]), closes);
  assert.deepEqual(effect([first], []), opens);
  assert.deepEqual(effect([first], [first, list(false, 'b/**')]), closes);
  assert.deepEqual(effect([first, list(false, 'b/**')], [first]), opens);
  assert.deepEqual(effect([first], [list(true, 'a/**', 'b/**')]), opens);
  assert.deepEqual(effect([first, list(false, 'b/**')], [first, list(true, 'b/**')]), closes);
  assert.deepEqual(effect([first, list(true, 'b/**')], [first, list(false, 'b/**')]), opens);
  // The same entries in one document, or in two.
  assert.deepEqual(effect([first, list(false, 'b', 'c')], [first, list(false, 'b'), list(false, 'c')]), []);
});

test('secrets: one more or another one opens, one less or a narrower one closes', async () => {
  const document = (...secrets: readonly string[]): string =>
    `[api]\nallowed_endpoints = ["@pod"]\n${secrets.map((each) => `[[secret]]\ncontainer = "db"\n${each}\n`).join('')}`;
  const one = 'env = "A"\nresource = "kbs:///default/key/1"';
  const two = 'env = "A"\nresource = "kbs:///default/key/2"';
  const narrow = `${one}\nsha256 = "${'a'.repeat(64)}"`;
  assert.deepEqual(await differences(document(), document(one)), ['opens secret env A of db']);
  assert.deepEqual(await differences(document(one), document()), ['closes secret env A of db']);
  assert.deepEqual(await differences(document(one), document(two)), [
    'opens secret env A of db',
    'closes secret env A of db',
  ]);
  assert.deepEqual(await differences(document(one), document(narrow)), ['closes secret env A of db']);
  assert.deepEqual(await differences(document(narrow), document(one)), ['opens secret env A of db']);
  const file = 'file = "/A"\nresource = "kbs:///default/key/1"';
  assert.deepEqual(await differences(document(one), document(one, file)), ['opens secret file /A of db']);
});

for (const key of ['nosymfollow', 'image_volumes'])
  test(`${key}: a mount less opens, one more closes`, async () => {
    const one = `[agent]\n${key} = ["web=/data"]\n${pod}`;
    assert.deepEqual(await differences(pod, one), [`closes setting agent.${key}`]);
    assert.deepEqual(await differences(one, pod), [`opens setting agent.${key}`]);
  });

test('host_aliases: another name or address opens, one less closes', async () => {
  const document = (aliases: string): string => `[agent]\nhost_aliases = ${aliases}\n${pod}`;
  const one = document('{ a = ["10.0.0.1"] }');
  assert.deepEqual(await differences(pod, one), ['opens setting agent.host_aliases']);
  assert.deepEqual(await differences(one, pod), ['closes setting agent.host_aliases']);
  assert.deepEqual(await differences(one, document('{ a = ["10.0.0.2"] }')), [
    'opens setting agent.host_aliases',
  ]);
});
