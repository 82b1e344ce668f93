import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fails, load, open, warnings } from '../loading.test.fixture.js';
import { isServed } from '../api/served.js';

const usual = { onDeniedRead: 'error', limits: { connections: 64 }, management: [] };
const listener = '[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\n';

test('the default is one listener at server_addr, for the host only', async () => {
  for (const [text, inputs] of [
    [undefined, {}],
    [open, {}],
  ] as const) {
    assert.deepEqual((await load(text, inputs)).listeners, [
      { name: 'server_addr', address: 'vsock://-1:1024', peers: [['host']], ...usual },
    ]);
  }
});

test('a listener has its name, address, peers and lists', async () => {
  const { listeners, api, restricted } = await load(
    `${open}${listener}peers = ["host", "cid:3"]\nallowed_endpoints = ["@logs"]\n`,
  );
  assert.deepEqual(listeners, [
    { name: 'host', address: 'vsock://-1:1024', peers: [['host', 'cid:3']], ...usual },
  ]);
  assert.equal(restricted, true);
  assert.equal(isServed(api.documents, 'host', 'ReadStdout'), true);
  assert.equal(isServed(api.documents, 'host', 'ExecProcess'), false);
});

test('management is a list of methods of its own, which only the base document sets', async () => {
  const { listeners } = await load(`${open}${listener}management = ["Describe"]\n`);
  assert.deepEqual(listeners[0]?.management, ['Describe']);
  assert.deepEqual(
    (await load('[api]\nallowed_endpoints = ["*"]\nrelease = "4.1"\n')).listeners[0]?.management,
    [],
  );
});

test('a listener’s own list opens its methods; without any list nothing is open', async () => {
  const alone = await load(`${listener}allowed_endpoints = ["@logs"]\n`);
  assert.equal(isServed(alone.api.documents, 'host', 'ReadStdout'), true);
  assert.deepEqual(warnings(alone), []);
  const none = await load(listener);
  assert.equal(isServed(none.api.documents, 'host', 'ReadStdout'), false);
  assert.match(warnings(none).join(), /NOTHING is served/);
  const blocked = await load(
    `[api]\nblocked_endpoints = ["ReadStdout"]\n${listener}allowed_endpoints = ["@logs"]\n`,
  );
  assert.equal(isServed(blocked.api.documents, 'host', 'ReadStdout'), false);
  assert.equal(isServed(blocked.api.documents, 'host', 'ReadStderr'), true);
});

for (const [name, text, message] of [
  [
    'a second listener of the same name',
    open + listener + listener.replace('1024', '1025'),
    /^\/c\.toml:7:8: error\[KA1107\]: there is a \[\[listener\]\] with the name "host" already, in \/c\.toml:4/,
  ],
  [
    'a second listener at the same address',
    open + listener + listener.replace('host', 'tenant'),
    /^\/c\.toml:8:11: error\[KA1403\]: the listener "host" has this address already, "vsock:\/\/-1:1024" in \/c\.toml:5/,
  ],
  [
    'limits that are not a table',
    `${open}${listener}limits = 16\n`,
    /limits must be a table with connections, .*, not the integer 16/,
  ],
  [
    'limits without a key',
    `${open}${listener}limits = {}\n`,
    /limits must be a table with connections, .*, not an empty one/,
  ],
  [
    'an unknown limit',
    `${open}${listener}limits = { handshake = 8 }\n`,
    /not one with the unknown key "handshake"\n[^]*help: for example: limits = \{ connections = 16 \}/,
  ],
  [
    'a limit of nothing',
    `${open}${listener}limits = { connections = 0 }\n`,
    /not one with connections = the integer 0\n[^]*help: connections is a number of connections from 1 to 65536/,
  ],
  [
    'an answer to denied reads that does not exist',
    `${open}${listener}on_denied_read = "eol"\n`,
    /on_denied_read must be "error" or "eof", not the text "eol"/,
  ],
  [
    'tls:// without tls and peers',
    `${open}[[listener]]\nname = "t"\naddress = "tls://0.0.0.0:8443"\n`,
    /KA1404[^]*must have tls[^]*KA1404[^]*must have peers/,
  ],
  [
    'dialling out',
    `${open}[[listener]]\nname = "t"\naddress = "https://tenant.example/"\n`,
    /KA1404[^]*https:\/\/ must have tls[^]*KA1404[^]*must have tls\.client_ca[^]*KA1404[^]*must have peers/,
  ],
  ['management as a switch', `${open}${listener}management = true\n`, /must be a list of "Describe"/],
  [
    'all management',
    `${open}${listener}management = ["*"]\n`,
    /must be a list of "Describe"[^]*name each method/,
  ],
  [
    'a misspelt management method',
    `${open}${listener}management = ["Watchaudit"]\n`,
    /did you mean "WatchAudit"\?/,
  ],
  ['no management method', `${open}${listener}management = []\n`, /must be a list of "Describe"/],
  [
    'a management method in a list of endpoints',
    `[api]\nallowed_endpoints = ["Describe"]\n`,
    /unknown endpoint "Describe"/,
  ],
  ['no address', `${open}[[listener]]\nname = "host"\n`, /this \[\[listener\]\] has no address/],
  ['no name', `${open}[[listener]]\naddress = "vsock://-1:1"\n`, /this \[\[listener\]\] has no name/],
  [
    'server_addr beside it',
    `${open}[agent]\nserver_addr = "vsock://-1:1024"\n${listener}`,
    /server_addr has no effect beside \[\[listener\]\] in line 6/,
  ],
  ['an unknown key', `${open}${listener}adress = "x"\n`, /unknown key "adress" in \[\[listener\]\]/],
  ['nobody as peer', `${open}${listener}peers = []\n`, /peers must be a list of "host"/],
  ['a peer like no other', `${open}${listener}peers = ["hst"]\n`, /peers must be a list of "host"/],
  ['a user on vsock', `${open}${listener}peers = ["uid:0"]\n`, /"uid:0" never connects to vsock/],
  [
    'a CID on a unix socket',
    `${open}${listener.replace('vsock://-1:1024', 'unix:///run/a')}peers = ["cid:3"]\n`,
    /"cid:3" never connects to a unix socket/,
  ],
  [
    'a single table',
    `${open}[listener]\nname = "host"\n`,
    /listener must be a list of tables, not a single table/,
  ],
] as const) {
  test(`${name} is fatal`, async () => {
    assert.match(await fails(text), message);
  });
}

const tenant = '[[listener]]\nname = "tenant"\naddress = "unix:///run/tenant.sock"\n';

test('each of several listeners has its own lists, peers, limits and answer to denied reads', async () => {
  const configuration = await load(
    `[api]\non_denied_read = "eof"\n[limits]\nconnections = 32\n${listener}allowed_endpoints = ["@pod"]\n${tenant}allowed_endpoints = ["@logs"]\npeers = ["uid:7"]\non_denied_read = "error"\nlimits = { connections = 128 }\n`,
  );
  assert.deepEqual(configuration.listeners, [
    {
      name: 'host',
      address: 'vsock://-1:1024',
      peers: [['host']],
      onDeniedRead: 'eof',
      limits: { connections: 32 },
      management: [],
    },
    {
      name: 'tenant',
      address: 'unix:///run/tenant.sock',
      peers: [['uid:7']],
      onDeniedRead: 'error',
      limits: { connections: 128 },
      management: [],
    },
  ]);
  const { documents } = configuration.api;
  assert.equal(isServed(documents, 'host', 'CreateContainer'), true);
  assert.equal(isServed(documents, 'tenant', 'CreateContainer'), false);
  assert.equal(isServed(documents, 'tenant', 'ReadStdout'), true);
});

test('a listener whose lists leave nothing is reported', async () => {
  const text = `[api]\nallowed_endpoints = ["@pod"]\n${listener}${tenant}allowed_endpoints = ["ExecProcess"]\n`;
  assert.deepEqual(warnings(await load(text)), [
    'these lists leave nothing for the listener "tenant": NOTHING is served there but Health',
  ]);
});
