import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { configurationDigest, explainConfiguration, type Inputs, renderExplanation } from '../index.js';
import { delivering, dropIns, fails, initdataDevice, load, open, warnings } from '../loading.test.fixture.js';

const pem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
const crl = '-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n';
const pin = `spki:sha256:${'a'.repeat(64)}`;

/** The base of a listener that others connect to, and of one that dials. */
const tenant = 'name = "tenant"\naddress = "tls://0.0.0.0:8443"\n';
const realm = 'name = "realm"\nrelay = "trusted"\n';

interface Base {
  readonly names: readonly string[];
  readonly listeners: readonly string[];
  /** Lines of `[delivery]`. */
  readonly delivery?: string;
}

function baseOf(
  { names, listeners, delivery = 'accept = ["fw_cfg"]\n' }: Base,
  bind = '"host_data"',
): string {
  return [
    `${open}[delivery]\n${delivery}`,
    delivery.includes('bind') ? '' : `bind = ${bind}\n`,
    `may_set = ${JSON.stringify(names)}\n`,
    ...listeners.map((text) => `[[listener]]\n${text}`),
  ].join('');
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** A base document with a pinned one. */
function pinned(base: Base, text: string): readonly [string, Partial<Inputs>] {
  return [
    baseOf(base, `"sha256:${digestOf(text)}"`),
    { delivery: [delivering('fw_cfg', { '/fw_cfg': text })] },
  ];
}

function tenantOf(text: string): string {
  return `[[listener]]\nname = "tenant"\n${text}`;
}

function realmOf(text: string): string {
  return `[[listener]]\nname = "realm"\n${text}`;
}

const peers = {
  names: ['listener.tenant.peers'],
  listeners: [`${tenant}tls.client_ca = ${JSON.stringify(pem)}\n`],
};
const dialled = {
  names: ['listener.realm.address', 'listener.realm.tls.server_ca', 'listener.realm.tls.pins'],
  listeners: [realm],
};

/** A base of a listener that dials for operators, all of whose keys are left unset. */
const operated = {
  names: [
    ...dialled.names,
    'listener.realm.peers',
    'listener.realm.tls.client_ca',
    'listener.realm.tls.client_crl',
  ],
  listeners: ['name = "realm"\n'],
};
const server = `address = "https://a.example"\ntls.server_ca = ${JSON.stringify(pem)}\n`;
const operators = `peers = ["cn:a"]\ntls.client_ca = ${JSON.stringify(pem + pem)}\n`;

test('each key that may_set can name is set by a pinned document', async () => {
  const names = [
    'listener.tenant.peers',
    'listener.tenant.tls.client_ca',
    'listener.tenant.tls.client_crl',
    ...dialled.names,
  ];
  const text = `${tenantOf(`peers = ["cn:a"]\ntls = { client_ca = ${JSON.stringify(pem)}, client_crl = ${JSON.stringify(crl)} }\n`)}${realmOf(`address = "https://realm.example:8443/guests"\n[listener.tls]\nserver_ca = ${JSON.stringify(pem)}\npins = ["${pin}"]\n`)}`;
  const { listeners, documents, digest, files } = await load(
    ...pinned({ names, listeners: [tenant, realm] }, text),
  );
  const [first, second] = listeners;
  assert.deepEqual(first?.peers, [['cn:a']]);
  assert.equal(first.tls?.clientCa, pem);
  assert.equal(first.tls.clientCrl, crl);
  assert.equal(second?.address, 'https://realm.example:8443/guests');
  assert.deepEqual(second.dial, {
    serverCa: pem,
    pins: [pin],
    relay: { kind: 'trusted' },
    handshakeTimeoutMs: 30_000,
  });
  assert.deepEqual(second.delivered, {
    address: '/fw_cfg:7',
    'tls.server_ca': '/fw_cfg:8',
    'tls.pins': '/fw_cfg:8',
  });
  assert.deepEqual(files, []);
  assert.equal(digest, configurationDigest(documents, []));
});

test('each key of a listener for operators is set by a pinned document', async () => {
  const text = realmOf(
    `${server}${operators}tls.client_crl = ${JSON.stringify(crl)}\ntls.pins = ["${pin}"]\n`,
  );
  const { listeners } = await load(...pinned(operated, text));
  assert.equal(listeners[0]?.address, 'https://a.example');
  assert.deepEqual(listeners[0].peers, [['cn:a']]);
  const limits = { handshakes: 8, handshakesPerSecond: 20, handshakeTimeoutMs: 30_000 };
  assert.deepEqual(listeners[0].dial, {
    serverCa: pem,
    pins: [pin],
    relay: { kind: 'operator-tls', callers: { clientCa: pem + pem, clientCrl: crl, limits } },
    handshakeTimeoutMs: 30_000,
  });
  assert.deepEqual(Object.keys(listeners[0].delivered ?? {}).toSorted(), [
    'address',
    'peers',
    'tls.client_ca',
    'tls.client_crl',
    'tls.pins',
    'tls.server_ca',
  ]);
});

test('of operators, a document sets what the base leaves to it, beside a server of the base', async () => {
  const { address, ...names } = {
    address: 'listener.realm.address',
    peers: 'listener.realm.peers',
    ca: 'listener.realm.tls.client_ca',
  };
  const base = { names: Object.values(names), listeners: [`name = "realm"\n${server}`] };
  const { listeners } = await load(...pinned(base, realmOf(operators)));
  const relay = listeners[0]?.dial?.relay;
  assert.equal(relay?.kind === 'operator-tls' ? relay.callers.clientCa : undefined, pem + pem);
  assert.deepEqual(listeners[0]?.peers, [['cn:a']]);
  // The other way around: the tenant names only the server.
  const reversed = {
    names: [address],
    listeners: [`name = "realm"\n${operators}tls.server_ca = ${JSON.stringify(pem)}\n`],
  };
  const dialling = await load(...pinned(reversed, realmOf('address = "https://b.example"\n')));
  assert.equal(dialling.listeners[0]?.address, 'https://b.example');
  assert.deepEqual(dialling.listeners[0].peers, [['cn:a']]);
});

test('what a listener for operators needs must be set', async () => {
  for (const [text, missing] of [
    [`${server}peers = ["cn:a"]\n`, 'listener.realm.tls.client_ca'],
    [`${server}tls.client_ca = ${JSON.stringify(pem)}\n`, 'listener.realm.peers'],
    [`${operators}address = "https://a.example"\n`, 'listener.realm.tls.server_ca'],
    [`${operators}tls.server_ca = ${JSON.stringify(pem)}\n`, 'listener.realm.address'],
  ] as const) {
    const diagnostics = await fails(...pinned(operated, realmOf(text)));
    assert.match(diagnostics, new RegExp(`KA1717.*${missing}`));
    assert.equal(diagnostics.match(/KA1717/g)?.length, 1, diagnostics);
  }
});

test('what the base sets of tls stays, and each may_set key fits beside it', async () => {
  const base = {
    names: ['listener.realm.address'],
    listeners: [`${realm}tls = { server_ca = ${JSON.stringify(pem)}, pins = ["${pin}"] }\n`],
  };
  const { listeners } = await load(...pinned(base, realmOf('address = "https://a.example"\n')));
  assert.equal(listeners[0]?.address, 'https://a.example');
  assert.deepEqual([listeners[0].dial?.serverCa, listeners[0].dial?.pins], [pem, [pin]]);
  const ca = {
    names: ['listener.realm.tls.server_ca'],
    listeners: [`${realm}address = "https://a.example"\ntls = { pins = ["${pin}"] }\n`],
  };
  const completed = await load(...pinned(ca, realmOf(`tls.server_ca = ${JSON.stringify(pem)}\n`)));
  assert.deepEqual(
    [completed.listeners[0]?.dial?.serverCa, completed.listeners[0]?.dial?.pins],
    [pem, [pin]],
  );
});

test('HOSTDATA binds an envelope that sets values, and its policy sets none', async () => {
  const files = {
    'kata-agent.toml': tenantOf('peers = ["cn:a"]\n'),
    'policy.rego': 'package agent_policy\ndefault ExecProcessRequest := true\n',
  };
  const base = baseOf({ ...peers, delivery: 'accept = ["initdata"]\n' });
  const inputs = {
    delivery: [initdataDevice(files)],
    hostData: () =>
      ({ ok: true, kind: 'HOSTDATA', bytes: Buffer.from(digestOf(JSON.stringify(files)), 'hex') }) as const,
  };
  const { listeners } = await load(base, inputs);
  assert.deepEqual(listeners[0]?.peers, [['cn:a']]);
});

test('a CRL and pins need not be set, and everything else must be', async () => {
  const optional = {
    names: [...peers.names, 'listener.tenant.tls.client_crl'],
    listeners: peers.listeners,
  };
  const { listeners } = await load(...pinned(optional, tenantOf('peers = ["cn:a"]\n')));
  assert.equal(listeners[0]?.tls?.clientCrl, undefined);
  const without = realmOf(`tls.server_ca = ${JSON.stringify(pem)}\n`);
  const [document, inputs] = pinned(dialled, without);
  assert.match(
    await fails(document, inputs),
    /c\.toml:8:8: error\[KA1717\]: no delivered document sets listener\.realm\.address, which may_set leaves to it[^]*help: set address of \[\[listener\]\] name = "realm" in the document that is bound/,
  );
  for (const [base, text, missing] of [
    [dialled, realmOf('address = "https://a.example"\n'), 'listener.realm.tls.server_ca'],
    [peers, tenantOf('blocked_endpoints = ["ExecProcess"]\n'), 'listener.tenant.peers'],
    [
      { names: ['listener.tenant.tls.client_ca'], listeners: [`${tenant}peers = ["*"]\n`] },
      tenantOf('peers = ["cn:a"]\n'),
      'listener.tenant.tls.client_ca',
    ],
  ] as const)
    assert.match(await fails(...pinned(base, text)), new RegExp(`KA1717.*${missing}`));
});

test('after peers were set, further documents narrow them', async () => {
  const [document, inputs] = pinned(
    { ...peers, delivery: 'accept = ["drop_ins", "fw_cfg"]\n' },
    tenantOf('peers = ["cn:a", "cn:b"]\n'),
  );
  const { delivery = [] } = inputs;
  const drop = dropIns({ '/d/1.toml': tenantOf('peers = ["cn:b", "cn:c"]\n') });
  const { listeners } = await load(document, { delivery: [drop, ...delivery] });
  assert.deepEqual(listeners[0]?.peers, [
    ['cn:b', 'cn:c'],
    ['cn:a', 'cn:b'],
  ]);
  assert.deepEqual(listeners[0].delivered, { peers: '/fw_cfg:3' });
  // A drop-in alone sets nothing.
  const [other, quiet] = pinned({ ...peers, delivery: 'accept = ["drop_ins", "fw_cfg"]\n' }, open);
  assert.match(
    await fails(other, { delivery: [drop, ...(quiet.delivery ?? [])] }),
    /KA1717.*listener\.tenant\.peers/,
  );
});

test('a document that is not bound to hardware sets nothing', async () => {
  const text = realmOf(`address = "https://a.example"\ntls.server_ca = ${JSON.stringify(pem)}\n`);
  const [document, inputs] = pinned({ ...dialled, delivery: 'accept = ["fw_cfg", "drop_ins"]\n' }, open);
  const delivery = [...(inputs.delivery ?? []), dropIns({ '/d/1.toml': text })];
  const diagnostics = await fails(document, { delivery });
  assert.match(
    diagnostics,
    /1\.toml:3:11: error\[KA1716\]: address of \[\[listener\]\] is set by a document that is bound by own root/,
  );
  assert.match(diagnostics, /KA1716\]: tls of \[\[listener\]\] is set by/);
});

test('two documents cannot set one key, also to the same value', async () => {
  const text = realmOf(`address = "https://a.example"\ntls.server_ca = ${JSON.stringify(pem)}\n`);
  const [document] = pinned({ ...dialled, delivery: 'accept = ["fw_cfg", "kernel_line"]\n' }, text);
  const delivery = [delivering('fw_cfg', { '/1': text }), delivering('kernel_line', { '/2': text })];
  const diagnostics = await fails(document, { delivery });
  assert.match(diagnostics, /\/2:3:11: error\[KA1716\]: listener\.realm\.address is set already, in \/1:3/);
  assert.match(diagnostics, /listener\.realm\.tls\.server_ca is set already, in \/1:4/);
});

for (const [what, text] of [
  [
    'quoted keys',
    `[["listener"]]\n"name" = "realm"\n"address" = "https://a.example"\n"tls"."server_ca" = PEM\n`,
  ],
  [
    'an escape in the name',
    '[[listener]]\nname = "re\\u0061lm"\naddress = "https://a.example"\ntls.server_ca = PEM\n',
  ],
  [
    'inline tables',
    'listener = [{name = "realm", address = "https://a.example", tls = {server_ca = PEM}}]\n',
  ],
  ['a table of its own', realmOf('address = "https://a.example"\n[listener.tls]\nserver_ca = PEM\n')],
] as const)
  test(`the form of TOML makes no difference: ${what}`, async () => {
    const base = { names: ['listener.realm.address', 'listener.realm.tls.server_ca'], listeners: [realm] };
    const { listeners } = await load(...pinned(base, text.replaceAll('PEM', JSON.stringify(pem))));
    assert.deepEqual([listeners[0]?.address, listeners[0]?.dial?.serverCa], ['https://a.example', pem]);
    const more = text.replaceAll('PEM', JSON.stringify(pem)).replaceAll('server_ca', 'client_ca');
    assert.match(await fails(...pinned(base, more)), /KA1709.*tls\.client_ca of/);
  });

for (const [what, base, text, diagnostics] of [
  [
    'a key with dots in it',
    dialled,
    realmOf(`address = "https://a.example"\n"tls.server_ca" = ${JSON.stringify(pem)}\n`),
    /KA1101.*unknown key "tls\.server_ca"/,
  ],
  [
    'a listener twice',
    dialled,
    `${realmOf('address = "https://a.example"\n')}${realmOf(`tls.server_ca = ${JSON.stringify(pem)}\n`)}`,
    /KA1107.*"realm" already/,
  ],
  ...[
    '"Realm"',
    '"realm "',
    '"re\\u0430lm"',
    '"\\uff52ealm"',
    '"__proto__"',
    '"constructor"',
    '["realm"]',
    '5',
  ].map(
    (name) =>
      [
        `keys of ${name}`,
        dialled,
        `[[listener]]\nname = ${name}\naddress = "https://a.example"\n`,
        /KA1709.*address of \[\[listener\]\] is allowed only in the base/,
      ] as const,
  ),
  ...['__proto__ = { address = "https://a.example" }', '"__proto__".pins = []', 'constructor = {}'].map(
    (line) => [`the key ${line}`, dialled, realmOf(`${line}\n`), /KA1101.*unknown key/] as const,
  ),
  [
    'a prototype of tls',
    dialled,
    realmOf(`tls = { server_ca = ${JSON.stringify(pem)}, __proto__ = { pins = ["${pin}"] } }\n`),
    /KA1102.*unknown key "__proto__"/,
  ],
  [
    'an address that is listened at',
    dialled,
    realmOf('address = "tls://0.0.0.0:1"\n'),
    /KA1716.*sets no address like "tls:/,
  ],
  [
    'an address of vsock',
    dialled,
    realmOf('address = "vsock://-1:1024"\n'),
    /KA1716.*sets no address like "vsock:/,
  ],
  [
    'a path',
    dialled,
    realmOf('tls.server_ca = "/run/ca.pem"\n'),
    /KA1716.*tls\.server_ca of a delivered document is the path "\/run\/ca\.pem"/,
  ],
  [
    'a text that is not PEM',
    { names: ['listener.realm.tls.server_ca'], listeners: [`${realm}address = "https://a.example"\n`] },
    realmOf('tls.server_ca = "-----BEGIN NOTHING-----"\n'),
    /\/fw_cfg:3:1: error\[KA1406\].*the text has no certificate\n +tls\.server_ca/,
  ],
  [
    'a key of tls that may_set does not name',
    dialled,
    realmOf(`tls = { client_ca = ${JSON.stringify(pem)} }\n`),
    /KA1709.*tls\.client_ca of \[\[listener\]\] is allowed only in the base/,
  ],
  [
    'a key of another listener',
    {
      names: dialled.names,
      listeners: [realm, `${tenant}peers = ["*"]\ntls.client_ca = ${JSON.stringify(pem)}\n`],
    },
    tenantOf(`tls.client_crl = ${JSON.stringify(crl)}\n`),
    /KA1709.*tls of \[\[listener\]\] is allowed only in the base/,
  ],
  ['a key that nothing can set', dialled, realmOf('relay = "trusted"\n'), /KA1709.*relay of/],
  [
    'may_set',
    peers,
    '[delivery]\naccept = ["fw_cfg"]\nmay_set = ["listener.realm.address"]\n',
    /KA1709.*may_set is allowed only in the base/,
  ],
  [
    'peers that never connect',
    peers,
    tenantOf('peers = ["host"]\n'),
    /KA1401.*"host" never connects to tls:/,
  ],
  [
    'peers of a server',
    dialled,
    realmOf(`address = "https://a.example"\npeers = ["cn:a"]\ntls.server_ca = ${JSON.stringify(pem)}\n`),
    /KA1401.*never connects to https:/,
  ],
  [
    'peers of a server whose relay is trusted, and which the base names',
    {
      names: ['listener.realm.tls.pins'],
      listeners: [`${realm}${server}`],
    },
    realmOf('peers = ["cn:a"]\n'),
    /KA1401.*never connects to https:.*"trusted"/,
  ],
  [
    'a CA of operators of a server whose relay is trusted',
    { names: ['listener.realm.tls.pins'], listeners: [`${realm}${server}`] },
    realmOf(`tls.client_ca = ${JSON.stringify(pem)}\n`),
    /KA1709.*tls\.client_ca of/,
  ],
  [
    'operators that never connect',
    operated,
    realmOf(`${server}peers = ["uid:0"]\ntls.client_ca = ${JSON.stringify(pem)}\n`),
    /KA1401.*"uid:0" never connects to https:\/\/ with relay = "operator-tls"/,
  ],
  [
    'a path of a CA of operators',
    operated,
    realmOf(`${server}peers = ["*"]\ntls.client_ca = "/run/ca.pem"\n`),
    /KA1716.*tls\.client_ca of a delivered document is the path/,
  ],
  [
    'a static key',
    operated,
    realmOf('tls = { certificate = "/c", key = "/k", insecure_static_key = true }\n'),
    /KA1709.*tls\.certificate of/,
  ],
  [
    'the address of another listener',
    {
      names: ['listener.realm.address'],
      listeners: [
        `${realm}tls.server_ca = ${JSON.stringify(pem)}\n`,
        `name = "b"\nrelay = "trusted"\naddress = "https://a.example"\ntls.server_ca = ${JSON.stringify(pem)}\n`,
      ],
    },
    realmOf('address = "https://a.example"\n'),
    /\/fw_cfg:3:11: error\[KA1403\].*"b" has the address/,
  ],
  [
    'a listener that the base does not have',
    peers,
    '[[listener]]\nname = "x"\npeers = ["cn:a"]\n',
    /KA1402.*no listener with the name "x"/,
  ],
] as const)
  test(`a delivered document that sets ${what} is fatal`, async () => {
    const [document, inputs] = pinned(base, text);
    assert.match(await fails(document, inputs), diagnostics);
  });

for (const [what, base, diagnostics] of [
  [
    'a key that it sets itself',
    {
      names: ['listener.tenant.peers'],
      listeners: [`${tenant}peers = ["*"]\ntls.client_ca = ${JSON.stringify(pem)}\n`],
    },
    /c\.toml:6:12: error\[KA1715\]: this document sets listener\.tenant\.peers itself/,
  ],
  [
    'a listener that it does not have',
    { names: ['listener.tenants.peers'], listeners: peers.listeners },
    /KA1402.*no listener "tenants"[^]*this document has "tenant"/,
  ],
  [
    'an unknown key',
    { names: ['listener.tenant.tls.key'], listeners: peers.listeners },
    /KA1102.*not one with "listener\.tenant\.tls\.key"/,
  ],
  [
    'a setting',
    { names: ['agent.lock'], listeners: peers.listeners },
    /KA1102.*not one with "agent\.lock"[^]*it can name listener\.NAME\.address/,
  ],
  [
    'a key twice',
    { names: [...peers.names, ...peers.names], listeners: peers.listeners },
    /KA1102.*each once/,
  ],
  [
    'image.signatures without the built-in puller',
    { names: [...peers.names, 'image.signatures'], listeners: peers.listeners },
    /KA1715.*image\.signatures has no effect without puller = "built-in"/,
  ],
  [
    'peers of vsock',
    { names: ['listener.h.peers'], listeners: ['name = "h"\naddress = "vsock://-1:1024"\n'] },
    /KA1715.*listener\.h\.peers has no effect at "vsock:/,
  ],
  [
    'a CA of callers at https://',
    {
      names: ['listener.realm.address', 'listener.realm.tls.server_ca', 'listener.realm.tls.client_ca'],
      listeners: [realm],
    },
    /KA1715.*client_ca has no effect at https:\/\/ with relay = "trusted"/,
  ],
  [
    'peers with a trusted relay',
    { names: [...dialled.names, 'listener.realm.peers'], listeners: [realm] },
    /KA1715.*realm\.peers has no effect at https:\/\/ with relay = "trusted"/,
  ],
  [
    'no CA of operators that the base leaves out',
    {
      names: operated.names.filter((name) => name !== 'listener.realm.tls.client_ca'),
      listeners: operated.listeners,
    },
    /KA1404.*with relay = "operator-tls", the default, must have tls\.client_ca/,
  ],
  [
    'no peers that the base leaves out',
    {
      names: operated.names.filter((name) => name !== 'listener.realm.peers'),
      listeners: operated.listeners,
    },
    /KA1404.*with relay = "operator-tls", the default, must have peers/,
  ],
  [
    'pins at tls://',
    { names: [...peers.names, 'listener.tenant.tls.pins'], listeners: peers.listeners },
    /KA1715.*tls\.pins has no effect at "tls:/,
  ],
  [
    'an address without a CA of the server',
    { names: ['listener.realm.address'], listeners: [realm] },
    /KA1404.*must have tls\.server_ca/,
  ],
  [
    'keys while nothing is bound',
    { ...peers, delivery: 'accept = ["fw_cfg"]\nbind = "none"\n' },
    /KA1715.*with bind = "none"/,
  ],
  [
    'keys while nothing is required',
    { ...peers, delivery: 'accept = ["fw_cfg"]\nrequired = false\n' },
    /KA1715.*with required = false/,
  ],
  ['keys for drop-ins', { ...peers, delivery: 'accept = ["drop_ins"]\n' }, /KA1715.*on drop-ins/],
  ['keys without a source', { ...peers, delivery: '' }, /KA1701/],
  [
    'no address of a listener without one',
    { names: ['listener.realm.tls.server_ca'], listeners: [realm] },
    /KA1104.*has no address/,
  ],
] as const)
  test(`may_set that names ${what} is fatal in the base document`, async () => {
    assert.match(await fails(baseOf(base)), diagnostics);
  });

test('server_addr beside a listener without an address is fatal', async () => {
  const document = `[agent]\nserver_addr = "vsock://-1:7"\n${baseOf(dialled)}`;
  assert.match(await fails(document), /KA1108.*server_addr has no effect beside/);
});

test('on another machine the base loads without the values, and says what is not known', async () => {
  const names = [...peers.names, ...dialled.names];
  const document = baseOf({ names, listeners: [...peers.listeners, realm] });
  const offline = { later: [], sense: 'error' } as const;
  const configuration = await load(document, { offline });
  assert.deepEqual(
    configuration.listeners.map(({ name, address, peers, awaited }) => ({ name, address, peers, awaited })),
    [
      { name: 'tenant', address: 'tls://0.0.0.0:8443', peers: [], awaited: ['peers'] },
      { name: 'realm', address: 'https://', peers: [], awaited: ['address', 'tls.server_ca', 'tls.pins'] },
    ],
  );
  assert.match(
    warnings(configuration).join(),
    /not included here, and neither are the values of listener\.tenant\.peers, listener\.realm/,
  );
  const text = renderExplanation(explainConfiguration(configuration));
  assert.match(text, /listener tenant at tls:\/\/0\.0\.0\.0:8443 for peers that are not known here\n/);
  assert.match(text, /\npeers: a delivered document sets it in the guest \(may_set\)\n/);
  assert.match(text, /\nlistener realm, which dials a server that is not known here\n/);
  const later = (text: string): Partial<Inputs> => ({
    offline: { ...offline, later: [{ file: 'tenant.toml', bytes: Buffer.from(text) }] },
  });
  const values = `${tenantOf('peers = ["cn:a"]\n')}${realmOf(`address = "https://a.example"\ntls.server_ca = ${JSON.stringify(pem)}\n`)}`;
  const known = await load(document, later(values));
  assert.equal(known.listeners[1]?.address, 'https://a.example');
  assert.match(
    renderExplanation(explainConfiguration(known)),
    /\naddress: set by a delivered document, tenant\.toml:6\n/,
  );
  assert.match(await fails(document, later(open)), /KA1717.*listener\.tenant\.peers/);
});

test('on another machine it is not known which operators call through which server', async () => {
  const offline = { later: [], sense: 'error' } as const;
  const configuration = await load(baseOf(operated), { offline });
  assert.deepEqual(configuration.listeners[0]?.peers, []);
  assert.deepEqual(configuration.listeners[0].awaited?.toSorted(), [
    'address',
    'peers',
    'tls.client_ca',
    'tls.client_crl',
    'tls.pins',
    'tls.server_ca',
  ]);
  const text = renderExplanation(explainConfiguration(configuration));
  assert.match(
    text,
    /\nlistener realm, which dials a server that is not known here for peers that are not known here\n/,
  );
  assert.match(text, /\ntls\.client_ca: a delivered document sets it in the guest \(may_set\)\n/);
});
