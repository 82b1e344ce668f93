import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import {
  configurationDigest,
  dialAddress,
  explainConfiguration,
  namedPaths,
  proxyAddress,
  renderExplanation,
} from '../index.js';
import { fails, load, open } from '../loading.test.fixture.js';
import { explainListeners } from '../explain/explain-listener.js';

const pem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
const crl = '-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n';
const pin = `spki:sha256:${'a'.repeat(64)}`;
const ca = `server_ca = ${JSON.stringify(pem)}`;

function document({
  rest = '',
  tls = ca,
  address = 'https://realm.example:8443/guests',
  relay = 'relay = "trusted"',
} = {}): string {
  const line = tls === '' ? '' : `tls = { ${tls} }\n`;
  return `${open}[[listener]]\nname = "r"\naddress = "${address}"\n${line}${relay}\n${rest}\n`;
}

test('an https:// listener with a trusted relay has a server and no peers', async () => {
  const text = document({
    tls: `${ca}, pins = ["spki:sha256:${'A'.repeat(64)}"]`,
    rest: 'limits = { handshake_timeout = "5s" }\nmanagement = ["Describe"]',
  });
  const { listeners, ...configuration } = await load(text);
  assert.deepEqual(listeners[0], {
    name: 'r',
    address: 'https://realm.example:8443/guests',
    peers: [],
    onDeniedRead: 'error',
    limits: { connections: 1 },
    management: ['Describe'],
    dial: { serverCa: pem, pins: [pin], relay: { kind: 'trusted' }, handshakeTimeoutMs: 5_000 },
  });
  const [explained] = explainListeners({ ...configuration, listeners });
  assert.ok(explained !== undefined && explained.limits === undefined);
  assert.deepEqual(explained.dial, { pins: [pin], relay: 'trusted', handshakeTimeoutMs: 5_000 });
});

const operators = `${ca}, client_ca = ${JSON.stringify(pem + pem)}`;

for (const [how, relay] of [
  ['by default', ''],
  ['as written', 'relay = "operator-tls"'],
] as const)
  test(`an https:// listener with operator-tls, ${how}, has operators as a tls:// listener has callers`, async () => {
    const peers = ['uri:spiffe://example/ops/*', 'cn:auditor'];
    const text = document({
      tls: `${operators}, client_crl = ${JSON.stringify(crl)}, pins = ["${pin}"]`,
      relay,
      rest: `peers = ${JSON.stringify(peers)}\nlimits = { connections = 3, handshakes = 2, handshake_timeout = "5s" }`,
    });
    const { listeners, ...configuration } = await load(text);
    const limits = { handshakes: 2, handshakesPerSecond: 20, handshakeTimeoutMs: 5_000 };
    assert.deepEqual(listeners[0], {
      name: 'r',
      address: 'https://realm.example:8443/guests',
      peers: [peers],
      onDeniedRead: 'error',
      limits: { connections: 3 },
      management: [],
      dial: {
        serverCa: pem,
        pins: [pin],
        relay: { kind: 'operator-tls', callers: { clientCa: pem + pem, clientCrl: crl, limits } },
        handshakeTimeoutMs: 5_000,
      },
    });
    const [explained] = explainListeners({ ...configuration, listeners });
    assert.deepEqual(explained?.limits, { connections: 3 });
    assert.deepEqual(explained.dial, {
      pins: [pin],
      relay: 'operator-tls',
      crl: true,
      limits,
      handshakeTimeoutMs: 5_000,
    });
  });

test('a proxy is an address with a port, and is explained', async () => {
  for (const proxy of ['http://proxy.example:3128', 'http://10.0.0.1:80', 'http://[fd00::1]:8080']) {
    const { listeners, ...configuration } = await load(document({ rest: `proxy = "${proxy}"` }));
    assert.equal(listeners[0]?.dial?.proxy, proxy);
    const [explained] = explainListeners({ ...configuration, listeners });
    assert.equal(explained?.dial?.proxy, proxy);
  }
  const text = renderExplanation(
    explainConfiguration(await load(document({ rest: 'proxy = "http://proxy.example:3128"' }))),
  );
  assert.match(text, /\nproxy = "http:\/\/proxy\.example:3128": it sees when and how much is sent/);
  const rest = 'peers = ["cn:a"]\nproxy = "http://proxy.example:3128"';
  const relayed = await load(document({ tls: operators, relay: '', rest }));
  assert.equal(relayed.listeners[0]?.dial?.proxy, 'http://proxy.example:3128');
  assert.match(renderExplanation(explainConfiguration(relayed)), /\nproxy = "http:[^]*\noperators: of/);
  assert.deepEqual(proxyAddress('http://[fd00::1]:8080'), { host: 'fd00::1', port: 8080 });
});

for (const proxy of [
  'http://proxy.example',
  'http://user:secret@proxy.example:3128',
  'http://proxy.example:3128/',
  'http://proxy.example:3128/path',
  'http://proxy.example:0',
  'http://proxy.example:65536',
  'http://Proxy.example:3128',
  'http://1.2.3:3128',
  'https://proxy.example:3128',
  'socks5://proxy.example:3128',
  'proxy.example:3128',
  '',
])
  test(`the proxy "${proxy}" is fatal`, async () => {
    assert.match(
      await fails(document({ rest: `proxy = "${proxy}"` })),
      /KA1102.*proxy must be the address of an HTTP proxy, with a port and without user/,
    );
  });

test('only the base document has a proxy', async () => {
  const later = [
    { file: 'later.toml', bytes: Buffer.from('[[listener]]\nname = "r"\nproxy = "http://p:1"\n') },
  ];
  assert.match(
    await fails(document(), { offline: { later, sense: 'warning' } }),
    /KA1709.*proxy of \[\[listener\]\] is allowed only in the base document/,
  );
});

test('explain says what the server can do', async () => {
  const explained = async (...[change]: Parameters<typeof document>): Promise<string> =>
    renderExplanation(explainConfiguration(await load(document(change))));
  const managed = 'management = ["Describe", "RevokePeer"]';
  const believed = await explained({ rest: managed });
  assert.match(believed, /\nlistener r, which dials https:\/\/realm\.example:8443\/guests\nmanagement/);
  assert.match(
    believed,
    /relay = "trusted": the server is trusted with each call, and so is the operator that it names/,
  );
  const relayed = await explained({ tls: operators, relay: '', rest: `peers = ["cn:a"]\n${managed}` });
  assert.match(relayed, /\nlistener r, which dials https:\/\/realm\.example:8443\/guests for cn:a\n/);
  assert.match(
    relayed,
    /relay = "operator-tls": the server can call Describe, RevokePeer, and refuse its service; only operators/,
  );
  assert.match(relayed, /\noperators: of client_ca, without a CRL, limits = \{ handshakes = 8/);
  const bare = await explained({ tls: operators, relay: '', rest: 'peers = ["cn:a"]' });
  assert.match(bare, /the server can call no method of the management service, and refuse/);
});

test('operators have verbs, which explain lists with what they open', async () => {
  const grants =
    'operators = [{ peers = ["uri:spiffe://e/ops/*"], verbs = ["connect"] }, { peers = ["cn:a"], verbs = ["audit", "connect"] }]';
  const at = (rest: string): string =>
    document({ tls: operators, relay: '', rest: `peers = ["*"]\n${rest}` });
  const configuration = await load(at(grants));
  const relay = configuration.listeners[0]?.dial?.relay;
  assert.ok(relay?.kind === 'operator-tls');
  assert.deepEqual(relay.operators, [
    { peers: ['uri:spiffe://e/ops/*'], verbs: ['connect'] },
    { peers: ['cn:a'], verbs: ['connect', 'audit'] },
  ]);
  const text = renderExplanation(explainConfiguration(configuration));
  for (const line of [
    'operators with connect (what is served here, Describe, ListContainers, Attest): uri:spiffe://e/ops/*, cn:a',
    'operators with audit (WatchAudit, GetCheckpoint, Attest): cn:a',
    'operators with revoke (RevokePeer, Attest): none',
  ])
    assert.ok(text.includes(line), line);
  assert.match(
    renderExplanation(explainConfiguration(await load(at('')))),
    /operators may call what is served here, and no method of the management service/,
  );
});

for (const [what, change, expectedText] of [
  ['no table', { rest: 'peers = ["*"]\noperators = []' }, /KA1102.*operators must be a list of tables/],
  ['no verbs', { rest: 'peers = ["*"]\noperators = [{ peers = ["cn:a"] }]' }, /KA1102.*one without verbs/],
  [
    'the verb list, about which the realm decides',
    { rest: 'peers = ["*"]\noperators = [{ peers = ["cn:a"], verbs = ["list"] }]' },
    /KA1102.*operators must be .*one with verbs/,
  ],
  [
    'a peer that is not a certificate',
    { rest: 'peers = ["*"]\noperators = [{ peers = ["host"], verbs = ["audit"] }]' },
    /KA1102/,
  ],
  [
    'a trusted relay',
    { tls: ca, relay: 'relay = "trusted"', rest: 'operators = [{ peers = ["*"], verbs = ["audit"] }]' },
    /KA1405.*operators has no effect at https:\/\/ with relay = "trusted"/,
  ],
  [
    'a unix socket',
    { tls: '', address: 'unix:///run/a', rest: 'operators = [{ peers = ["*"], verbs = ["audit"] }]' },
    /KA1405.*operators has no effect at/,
  ],
] as const)
  test(`operators with ${what} is an error`, async () => {
    assert.match(await fails(document({ tls: operators, relay: '', ...change })), expectedText);
  });

test('a further document narrows operators as it narrows callers of tls://', async () => {
  const narrowing =
    '[[listener]]\nname = "r"\npeers = ["cn:a"]\nlimits = { connections = 2, handshakes = 100, handshakes_per_second = 3 }\n';
  const { listeners } = await load(document({ tls: operators, relay: '', rest: 'peers = ["*"]' }), {
    offline: { later: [{ file: 'later.toml', bytes: Buffer.from(narrowing) }], sense: 'warning' },
  });
  assert.deepEqual(listeners[0]?.peers, [['*'], ['cn:a']]);
  assert.equal(listeners[0].limits.connections, 2);
  const relay = listeners[0].dial?.relay;
  assert.ok(relay?.kind === 'operator-tls');
  assert.equal(relay.callers.limits.handshakes, 8);
  assert.equal(relay.callers.limits.handshakesPerSecond, 3);
});

test('its CAs and its CRL are part of the digest', async () => {
  const text = document({
    tls: 'server_ca = "/ca.pem", client_ca = "/clients.pem", client_crl = "/crl.pem"',
    relay: '',
    rest: 'peers = ["*"]',
  });
  const contents: Readonly<Record<string, string>> = {
    '/ca.pem': pem,
    '/clients.pem': pem + pem,
    '/crl.pem': crl,
  };
  const { files, digest, documents } = await load(text, {
    files: { read: (path) => ({ ok: true, bytes: Buffer.from(contents[path] ?? text) }) },
  });
  const named = [
    { key: 'listener.r.tls.client_ca', file: '/clients.pem' },
    { key: 'listener.r.tls.client_crl', file: '/crl.pem' },
    { key: 'listener.r.tls.server_ca', file: '/ca.pem' },
  ];
  const digestOf = (file: string): string =>
    createHash('sha256')
      .update(contents[file] ?? '')
      .digest('hex');
  assert.deepEqual(
    files,
    named.map(({ key, file }) => ({ key, file, sha256: digestOf(file) })),
  );
  assert.equal(digest, configurationDigest(documents, files));
  assert.deepEqual(namedPaths(Buffer.from(text)), named);
});

for (const [what, text, expectedText] of [
  ['without tls', document({ tls: '' }), /KA1404.*https:\/\/ must have tls/],
  [
    'without relay and without operators',
    document({ relay: '' }),
    /KA1404.*"operator-tls", the default, must have peers[^]*KA1404.*must have tls\.client_ca[^]*write relay = "trusted"/,
  ],
  [
    'with operator-tls and without peers',
    document({ tls: operators, relay: 'relay = "operator-tls"' }),
    /KA1404.*must have peers/,
  ],
  [
    'with operator-tls and without a CA of operators',
    document({ tls: `${ca}, client_crl = ${JSON.stringify(crl)}`, relay: '', rest: 'peers = ["*"]' }),
    /KA1404.*must have tls\.client_ca/,
  ],
  [
    'with operator-tls and without a CA of the server',
    document({ tls: `client_ca = ${JSON.stringify(pem)}`, relay: '', rest: 'peers = ["*"]' }),
    /KA1404.*must have tls\.server_ca/,
  ],
  [
    'with operator-tls and a peer of vsock',
    document({ tls: operators, relay: '', rest: 'peers = ["host"]' }),
    /KA1401.*"host" never connects to https:.*operator-tls/,
  ],
  [
    'with client_ca and a trusted relay',
    document({ tls: operators }),
    /KA1405.*client_ca has no effect with relay = "trusted": the server makes the calls of operators/,
  ],
  [
    'with client_crl and a trusted relay',
    document({ tls: `${ca}, client_crl = ${JSON.stringify(crl)}` }),
    /KA1405.*client_crl has no effect with relay = "trusted"/,
  ],
  [
    'with a static key',
    document({ tls: `${ca}, certificate = "/c", key = "/k"` }),
    /and a static key, which is for tls/,
  ],
  [
    'with a static key, and without a CA of the server',
    document({
      tls: `client_ca = ${JSON.stringify(pem)}, certificate = "/c", key = "/k", insecure_static_key = true`,
      relay: '',
      rest: 'peers = ["*"]',
    }),
    /KA1405.*a static key has no effect at https/,
  ],
  [
    'with a file that is not a CA',
    document({ tls: 'server_ca = "-----BEGIN X-----"' }),
    /KA1406.*has no certificate/,
  ],
  [
    'with an empty list of pins',
    document({ tls: `${ca}, pins = []` }),
    /pins is a list of pins spki:sha256:/,
  ],
  ['with a wrong pin', document({ tls: `${ca}, pins = ["${pin}", "sha256:00"]` }), /pins is a list of pins/],
  ['with a pin twice', document({ tls: `${ca}, pins = ["${pin}", "${pin}"]` }), /pins is a list of pins/],
  ['with pins alone', document({ tls: `pins = ["${pin}"]` }), /KA1404.*https:\/\/ must have tls\.server_ca/],
  ['with peers', document({ rest: 'peers = ["host"]' }), /KA1401.*"host" never connects to https/],
  [
    'with peers of TLS and a trusted relay',
    document({ rest: 'peers = ["*"]' }),
    /KA1401.*"\*" never connects to https:.* relay = "trusted", where the server makes all calls/,
  ],
  [
    'with connections',
    document({ rest: 'limits = { connections = 2 }' }),
    /KA1405.*the limit connections has no effect/,
  ],
  [
    'with handshakes',
    document({ rest: 'limits = { handshakes = 2 }' }),
    /KA1405.*the limit handshakes has no effect/,
  ],
] as const)
  test(`an https:// listener ${what} is fatal`, async () => {
    assert.match(await fails(text), expectedText);
  });

for (const [what, text, expectedText] of [
  [
    'relay at vsock',
    document({ address: 'vsock://-1:1024', tls: '' }),
    /KA1405.*relay has no effect at "vsock/,
  ],
  [
    'proxy at vsock',
    document({ address: 'vsock://-1:1024', tls: '', relay: 'proxy = "http://p:1"' }),
    /KA1405.*proxy has no effect at "vsock/,
  ],
  [
    'server_ca at tls://',
    document({ address: 'tls://[::]:1', relay: 'peers = ["*"]' }),
    /KA1405.*server_ca and pins have no effect at tls/,
  ],
  [
    'one server twice',
    `${document()}[[listener]]\nname = "s"\naddress = "https://realm.example:8443/guests"\ntls = { ${ca} }\nrelay = "trusted"\n`,
    /KA1403/,
  ],
] as const)
  test(`${what} is fatal`, async () => {
    assert.match(await fails(text), expectedText);
  });

test('peers of a further document are fatal with a trusted relay too', async () => {
  const later = { file: 'later.toml', bytes: Buffer.from('[[listener]]\nname = "r"\npeers = ["cn:a"]\n') };
  await assert.rejects(
    async () => load(document(), { offline: { later: [later], sense: 'warning' } }),
    /KA1401|never connects to https/,
  );
});

test('addresses have one form', () => {
  assert.deepEqual(dialAddress('https://realm.example'), { host: 'realm.example', port: 443, path: '/' });
  assert.deepEqual(dialAddress('https://[2001:db8::1]:1/a/b'), {
    host: '2001:db8::1',
    port: 1,
    path: '/a/b',
  });
  assert.deepEqual(dialAddress('https://192.0.2.1:65535/'), { host: '192.0.2.1', port: 65_535, path: '/' });
  for (const text of [
    'http://realm.example/',
    'https://',
    'https:///guests',
    'https://user@realm.example/',
    'https://user:secret@realm.example/',
    'https://Realm.example/',
    'https://realm.example./',
    'https://realm..example/',
    'https://-realm.example/',
    'https://1.2.3/',
    'https://1/',
    'https://0x7f000001.1/',
    'https://[::1/',
    'https://::1/',
    'https://[1.2.3.4]/',
    'https://realm.example:0/',
    'https://realm.example:65536/',
    'https://realm.example:/',
    'https://realm.example/?a',
    'https://realm.example/#a',
    'https://realm.example/%2e',
    'https://realm.example/a b',
    'https://realm.example/a\r\nX: 1',
    'https://realm.example\n',
    ` https://realm.example/`,
  ])
    assert.equal(dialAddress(text), undefined, text);
});
