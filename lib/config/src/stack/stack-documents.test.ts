import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { hostDataDigest, type HostData, type Inputs } from '../index.js';
import { asking, delivering, dropIns, fails, load, narrow, open, warnings } from '../loading.test.fixture.js';
import { isServed } from '../api/served.js';

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');

function serves({ api }: Awaited<ReturnType<typeof load>>, method: 'ExecProcess' | 'CopyFile'): boolean {
  return isServed(api.documents, 'server_addr', method);
}

test('documents are merged in the order of accept; each narrows, and is recorded with its binding', async () => {
  const configuration = await load(asking('accept = ["drop_ins", "fw_cfg"]\nbind = "none"'), {
    delivery: [
      delivering('fw_cfg', { 'fw.toml': '[api]\nblocked_endpoints = ["CopyFile"]\n' }),
      dropIns({ '/d/1.toml': narrow, '/d/2.toml': '[limits]\nconnections = 3\n' }),
    ],
  });
  assert.equal(serves(configuration, 'ExecProcess'), false);
  assert.equal(serves(configuration, 'CopyFile'), false);
  assert.equal(configuration.limits.connections, 3);
  assert.deepEqual(
    configuration.documents.map(({ file, source, binding }) => [file, source, binding]),
    [
      ['/c.toml', '-c', undefined],
      ['/d/1.toml', 'drop_ins', 'own root'],
      ['/d/2.toml', 'drop_ins', 'own root'],
      ['fw.toml', 'fw_cfg', 'none'],
    ],
  );
  const list = configuration.documents.map(({ sha256 }) => `${sha256}\n`).join('');
  assert.equal(configuration.digest, digestOf(list));
  assert.match(warnings(configuration).join(), /fw\.toml is NOT BOUND/);
});

test('without [delivery] no source of documents is read', async () => {
  const never: Inputs['delivery'] = [{ name: 'fw_cfg', collect: () => assert.fail('asked') }];
  assert.equal((await load(open, { delivery: never })).documents.length, 1);
});

test('a pin binds by the digest of the envelope; another document is fatal and is not parsed', async () => {
  const envelope = Buffer.from(`wrapped ${narrow}`);
  const source = delivering('initdata', { 'initdata (/dev/vdb)': narrow }, { envelope });
  const pinned = asking(`accept = ["initdata"]\nbind = "sha256:${digestOf(`wrapped ${narrow}`)}"`);
  const configuration = await load(pinned, { delivery: [source] });
  assert.equal(configuration.documents[1]?.binding, 'pin');
  assert.equal(configuration.documents[1].sha256, digestOf(`wrapped ${narrow}`));
  assert.equal(serves(configuration, 'ExecProcess'), false);
  const other = delivering(
    'initdata',
    { 'initdata (/dev/vdb)': 'this is = no TOML at all [' },
    { envelope: Buffer.from('x') },
  );
  const message = await fails(pinned, { delivery: [other] }, 3);
  assert.match(
    message,
    /^error\[KA1705\]: initdata \(\/dev\/vdb\) is not the pinned document: it has sha256:[0-9a-f]{64}, not sha256:/,
  );
  assert.doesNotMatch(message, /TOML/);
});

test('host_data binds by the hardware report, which is requested once', async () => {
  for (const [kind, algorithm] of [
    ['HOSTDATA', 'sha-256'],
    ['HOSTDATA', 'sha-384'],
    ['MRCONFIGID', 'sha-256'],
    ['MRCONFIGID', 'sha-384'],
  ] as const) {
    let asked = 0;
    const envelope = Buffer.from(narrow);
    const hostData = (): HostData => {
      asked += 1;
      return { ok: true, kind, bytes: hostDataDigest({ envelope, algorithm }, kind) };
    };
    const delivery = [
      delivering('initdata', { a: narrow }, { algorithm }),
      delivering('fw_cfg', { b: narrow }, { algorithm }),
    ];
    const text = asking('accept = ["initdata", "fw_cfg"]');
    const configuration = await load(text, { delivery, hostData });
    assert.deepEqual(
      configuration.documents.map(({ binding }) => binding),
      [undefined, kind, kind],
    );
    assert.equal(asked, 1);
    const changed = [delivering('initdata', { a: `${narrow} ` }, { algorithm })];
    assert.match(
      await fails(text, { delivery: [...changed, delivering('fw_cfg', {})], hostData }, 3),
      new RegExp(
        `a is not the document that the report names in ${kind}: it needs [0-9a-f]+, and the report has [0-9a-f]+`,
      ),
    );
  }
});

test('host_data is the default, and is fatal without a report', async () => {
  const delivery = [delivering('initdata', { a: narrow })];
  assert.match(
    await fails(asking('accept = ["initdata"]'), { delivery }, 3),
    /^error\[KA1706\]: a cannot be bound by host_data: this machine has no host data\nhelp: use another one$/,
  );
});

test('a missing required document is fatal; drop-ins do not replace one that the host withholds', async () => {
  const nothing = [delivering('initdata', {}), delivering('fw_cfg', {})];
  const message =
    /^error\[KA1704\]: a further document is required, and none was delivered by an initdata device or fw_cfg\nhelp: deliver it, or write required = false/;
  assert.match(await fails(asking('accept = ["initdata", "fw_cfg"]'), { delivery: nothing }, 3), message);
  const withDropIns = asking('accept = ["drop_ins", "initdata", "fw_cfg"]');
  assert.match(await fails(withDropIns, { delivery: [...nothing, dropIns({ d: narrow })] }, 3), message);
  assert.match(
    await fails(asking('accept = ["drop_ins"]'), { delivery: [dropIns({})] }, 3),
    /none was delivered by drop-ins/,
  );
  const optional = await load(asking('accept = ["initdata"]\nrequired = false'), { delivery: nothing });
  assert.equal(optional.documents.length, 1);
});

test('an unavailable source and one that fails are fatal', async () => {
  assert.match(
    await fails(asking('accept = ["initdata"]\nrequired = false'), {}, 3),
    /^error\[KA1702\]: this agent takes no documents by initdata\nhelp: remove "initdata" from accept$/,
  );
  const broken: Inputs['delivery'] = [
    {
      name: 'fw_cfg',
      collect: () => ({
        ok: false,
        diagnostics: [{ severity: 'error', code: 'KA1703', message: 'cut off' }],
      }),
    },
  ];
  assert.equal(
    await fails(asking('accept = ["fw_cfg"]\nrequired = false'), { delivery: broken }, 3),
    'error[KA1703]: cut off',
  );
});

const closed = asking('accept = ["drop_ins"]');
const listening = `${closed}[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\n`;
for (const [name, base, later, message] of [
  [
    'a listener',
    listening,
    '[[listener]]\nname = "tenant"\n',
    /^d:2:8: error\[KA1402\]: \/c\.toml has no listener with the name "tenant", and only it can add one\n[^]*help: it has "host"/,
  ],
  [
    'an address',
    listening,
    '[[listener]]\nname = "host"\naddress = "vsock://-1:9"\n',
    /address of \[\[listener\]\] is allowed only in the base document/,
  ],
  [
    'a peer that never connects to the address in the base document',
    listening,
    '[[listener]]\nname = "host"\npeers = ["uid:0"]\n',
    /^d:3:9: error\[KA1401\]: "uid:0" never connects to vsock/,
  ],
  [
    'the answer to denied reads of a listener',
    listening,
    '[[listener]]\nname = "host"\non_denied_read = "eof"\n',
    /on_denied_read of \[\[listener\]\] is allowed only in the base document/,
  ],
  [
    'server_addr',
    closed,
    '[agent]\nserver_addr = "vsock://-1:1024"\n',
    /server_addr is allowed only in the base document/,
  ],
  [
    'a console',
    closed,
    '[agent]\ndebug_console = true\n',
    /debug_console is allowed only in the base document/,
  ],
  [
    'a port for logs',
    closed,
    '[agent]\nlog_vport = 1025\n',
    /log_vport is allowed only in the base document/,
  ],
  [
    'overrides',
    closed,
    '[agent]\noverridable = ["debug_console"]\n',
    /overridable is allowed only in the base document/,
  ],
  [
    'a lock, which is not its business',
    closed,
    '[agent]\nlock = false\n',
    /lock is allowed only in the base document/,
  ],
  ['the end of the record', closed, '[audit]\nkeep = 4\n', /keep is allowed only in the base document/],
  [
    'further deliveries',
    closed,
    '[delivery]\naccept = ["fw_cfg"]\nbind = "none"\n',
    /accept is allowed only in the base document[^]*bind is allowed/,
  ],
  ['a measurement', closed, '[measurement]\ntpm = "off"\n', /tpm is allowed only in the base document/],
  [
    'the answer to denied reads',
    closed,
    '[api]\non_denied_read = "eof"\n',
    /on_denied_read is allowed only in the base document/,
  ],
  [
    'the same in a rule',
    closed,
    '[[api.rule]]\nname = "r"\nendpoints = ["ReadStdout"]\nexpression = "true"\non_denied_read = "eof"\n',
    /on_denied_read of \[\[api\.rule\]\] is allowed only in the base document/,
  ],
  [
    'a rule in the place of another',
    `${closed}[[api.rule]]\nname = "r"\nendpoints = ["ReadStdout"]\nexpression = "false"\n`,
    '[[api.rule]]\nname = "r"\nendpoints = ["ReadStdout"]\nexpression = "true"\n',
    /^d:2:8: error\[KA1107\]: there is a \[\[api\.rule\]\] with the name "r" already, in \/c\.toml:6/,
  ],
] as const) {
  test(`a further document cannot contain ${name}`, async () => {
    assert.match(await fails(base, { delivery: [dropIns({ d: later })] }), message);
  });
}

test('a further document narrows a listener by its name, including the one at server_addr', async () => {
  const lists = 'blocked_endpoints = ["ExecProcess"]\n';
  const named = await load(listening, {
    delivery: [dropIns({ d: `[[listener]]\nname = "host"\n${lists}` })],
  });
  assert.equal(isServed(named.api.documents, 'host', 'ExecProcess'), false);
  assert.equal(isServed(named.api.documents, 'host', 'CopyFile'), true);
  const implicit = await load(closed, {
    delivery: [dropIns({ d: `[[listener]]\nname = "server_addr"\n${lists}` })],
  });
  assert.equal(serves(implicit, 'ExecProcess'), false);
  assert.equal(implicit.restricted, true);
  const keys = 'peers = ["any"]\nlimits = { connections = 2 }\n';
  const narrowed = await load(closed, {
    delivery: [dropIns({ d: `[[listener]]\nname = "server_addr"\n${keys}` })],
  });
  assert.deepEqual(
    narrowed.listeners.map(({ peers, limits }) => [peers, limits.connections]),
    [[[['host']], 2]],
  );
});

test('a further document narrows the peers and limits of a listener, and cannot widen them (S25)', async () => {
  const base = `${closed}[[listener]]\nname = "a"\naddress = "vsock://-1:1"\npeers = ["any"]\nlimits = { connections = 16 }\n[[listener]]\nname = "b"\naddress = "vsock://-1:2"\npeers = ["host", "cid:3"]\n`;
  const narrowed = async (...later: readonly string[]) => {
    const drops = Object.fromEntries(later.map((text, index) => [`d${index}`, text]));
    return (await load(base, { delivery: [dropIns(drops)] })).listeners.map(({ peers, limits }) => [
      peers,
      limits.connections,
    ]);
  };
  const entry = (name: string, keys: string): string => `[[listener]]\nname = "${name}"\n${keys}\n`;
  const before = [
    [[['any']], 16],
    [[['host', 'cid:3']], 64],
  ];
  assert.deepEqual(await narrowed(entry('a', '')), before);
  assert.deepEqual(await narrowed(entry('a', 'peers = ["any"]\nlimits = { connections = 17 }')), before);
  assert.deepEqual(await narrowed(entry('b', 'peers = ["any"]')), before);
  assert.deepEqual(await narrowed(entry('a', 'peers = ["host"]\nlimits = { connections = 8 }')), [
    [[['host']], 8],
    before[1],
  ]);
  assert.deepEqual(
    await narrowed(entry('b', 'peers = ["cid:3", "cid:4"]'), entry('b', 'peers = ["cid:3"]')),
    [before[0], [[['host', 'cid:3'], ['cid:3', 'cid:4'], ['cid:3']], 64]],
  );
  assert.deepEqual(await narrowed('[limits]\nconnections = 12\n'), [
    [[['any']], 12],
    [[['host', 'cid:3']], 12],
  ]);
});

test('a further document without lists opens nothing that the base left closed', async () => {
  const silent = '[agent]\nlog_level = "info"\n[delivery]\naccept = ["drop_ins"]\n';
  for (const later of ['[api]\n', '[api]\nallowed_endpoints = ["*"]\n', '[api]\nblocked_endpoints = []\n']) {
    const configuration = await load(silent, { delivery: [dropIns({ d: later })] });
    assert.equal(serves(configuration, 'ExecProcess'), false);
    assert.match(warnings(configuration).join(), /NOTHING is served/);
  }
});

test('what a further document closes is closed to overrides too', async () => {
  const configuration = await load(closed, {
    delivery: [dropIns({ d: narrow })],
    kernelCommandLine: 'agent.debug_console',
  });
  assert.equal(configuration.settings.debugConsole, false);
});

test('all errors of all further documents are reported at once', async () => {
  const message = await fails(closed, {
    delivery: [dropIns({ d: '[api]\nx = 1\n', e: '[agent]\ny = 1\n' })],
  });
  assert.match(message, /^d:2:1: [^]*\ne:2:1: /);
});

test('a check on another machine waits for no delivery and uses the given files', async () => {
  const text = asking('accept = ["initdata"]');
  assert.equal((await load(text, { offline: { later: [], sense: 'warning' } })).documents.length, 1);
  const configuration = await load(text, {
    offline: { later: [{ file: 'later.toml', bytes: Buffer.from(narrow) }], sense: 'warning' },
  });
  assert.equal(serves(configuration, 'ExecProcess'), false);
  assert.equal(configuration.documents[1]?.binding, 'not checked here');
});
