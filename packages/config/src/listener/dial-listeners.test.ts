import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { dialAddress, namedPaths } from '../index.js';
import { fails, load, open } from '../loading.test.fixture.js';
import { explainListeners } from '../explain/explain-listener.js';

const pem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
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

test('an https:// listener has a server and no peers', async () => {
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
    dial: { serverCa: pem, pins: [pin], relay: 'trusted', handshakeTimeoutMs: 5_000 },
  });
  const [explained] = explainListeners({ ...configuration, listeners });
  assert.ok(explained !== undefined && explained.limits === undefined);
  assert.deepEqual(explained.dial, { pins: [pin], relay: 'trusted', handshakeTimeoutMs: 5_000 });
});

test('its CA is part of the digest', async () => {
  const text = document({ tls: 'server_ca = "/ca.pem"' });
  const { files } = await load(text, {
    files: { read: (path) => ({ ok: true, bytes: Buffer.from(path === '/ca.pem' ? pem : text) }) },
  });
  const sha256 = createHash('sha256').update(pem).digest('hex');
  assert.deepEqual(files, [{ key: 'listener.r.tls.server_ca', file: '/ca.pem', sha256 }]);
  assert.deepEqual(namedPaths(Buffer.from(text)), [{ key: 'listener.r.tls.server_ca', file: '/ca.pem' }]);
});

for (const [what, text, said] of [
  ['without tls', document({ tls: '' }), /KA1404.*https:\/\/ must have tls/],
  ['without relay', document({ relay: '' }), /KA1105.*"operator-tls", the default, is not built yet/],
  ['with operator-tls', document({ relay: 'relay = "operator-tls"' }), /KA1105.*"operator-tls" is not built/],
  [
    'with client_ca',
    document({ tls: `client_ca = ${JSON.stringify(pem)}` }),
    /KA1405.*client_ca has no effect at https/,
  ],
  [
    'with both CAs',
    document({ tls: `${ca}, client_ca = "/ca.pem"` }),
    /not one with server_ca, .* and keys for tls/,
  ],
  ['with a static key', document({ tls: `${ca}, certificate = "/c", key = "/k"` }), /and keys for tls/],
  [
    'with a file that is no CA',
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
  ['with pins alone', document({ tls: `pins = ["${pin}"]` }), /not one with pins, and without server_ca/],
  ['with peers', document({ rest: 'peers = ["host"]' }), /KA1401.*"host" never connects to https/],
  ['with peers of TLS', document({ rest: 'peers = ["*"]' }), /KA1401.*"\*" never connects to https/],
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
    assert.match(await fails(text), said);
  });

for (const [what, text, said] of [
  [
    'relay at vsock',
    document({ address: 'vsock://-1:1024', tls: '' }),
    /KA1405.*relay has no effect at "vsock/,
  ],
  [
    'server_ca at tls://',
    document({ address: 'tls://[::]:1', relay: 'peers = ["*"]' }),
    /KA1405.*server_ca has no effect at tls/,
  ],
  [
    'one server twice',
    `${document()}[[listener]]\nname = "s"\naddress = "https://realm.example:8443/guests"\ntls = { ${ca} }\nrelay = "trusted"\n`,
    /KA1403/,
  ],
] as const)
  test(`${what} is fatal`, async () => {
    assert.match(await fails(text), said);
  });

test('peers of a further document are fatal there too', async () => {
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
