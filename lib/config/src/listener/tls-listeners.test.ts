import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { configurationDigest, namedPaths } from '../index.js';
import { fails, load, open } from '../loading.test.fixture.js';

const pem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
const crl = '-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n';
const key = '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n';

function document(rest: string, tls = `{ client_ca = ${JSON.stringify(pem)} }`): string {
  return `${open}[[listener]]\nname = "t"\naddress = "tls://[::]:8443"\ntls = ${tls}\n${rest}`;
}

test('a tls:// listener has peers, texts and limits of its own', async () => {
  const peers = ['uri:spiffe://example/ops/*', 'cn:auditor', `spki:sha256:${'a'.repeat(64)}`];
  const text = document(
    `peers = ${JSON.stringify(peers)}\nlimits = { handshakes = 2, handshake_timeout = "5s" }\n`,
    `{ client_ca = ${JSON.stringify(pem + pem)}, client_crl = ${JSON.stringify(crl)} }`,
  );
  const { listeners, files } = await load(text);
  assert.deepEqual(listeners[0]?.peers, [peers]);
  assert.deepEqual(listeners[0].tls, {
    clientCa: pem + pem,
    clientCrl: crl,
    limits: { handshakes: 2, handshakesPerSecond: 20, handshakeTimeoutMs: 5000 },
  });
  assert.deepEqual(files, []);
});

test('a further document lowers the limits of handshakes, and adds peers that must match too', async () => {
  const { listeners } = await load(document('peers = ["*"]\n'), {
    offline: {
      later: [
        {
          file: 'later.toml',
          bytes: Buffer.from(
            '[[listener]]\nname = "t"\npeers = ["cn:a"]\nlimits = { handshakes = 2, handshakes_per_second = 90 }\n',
          ),
        },
      ],
      sense: 'warning',
    },
  });
  assert.deepEqual(listeners[0]?.peers, [['*'], ['cn:a']]);
  assert.equal(listeners[0].tls?.limits.handshakes, 2);
  assert.equal(listeners[0].tls.limits.handshakesPerSecond, 20);
});

test('a static key must be insisted on', async () => {
  const identity = `certificate = ${JSON.stringify(pem)}, key = ${JSON.stringify(key)}`;
  const { listeners } = await load(
    document(
      'peers = ["*"]\n',
      `{ client_ca = ${JSON.stringify(pem)}, ${identity}, insecure_static_key = true }`,
    ),
  );
  assert.deepEqual(listeners[0]?.tls?.staticIdentity, { certificate: pem, key });
});

for (const [what, rest, tls, expectedText] of [
  ['without a CA', '', '{ client_crl = "/crl.pem" }', /KA1404.*tls:\/\/ must have tls\.client_ca/],
  ['with a relative path', '', '{ client_ca = "ca.pem" }', /client_ca is an absolute path, or PEM text/],
  ['with an empty CA', '', '{ client_ca = "-----BEGIN X-----" }', /KA1406.*the text has no certificate/],
  [
    'with a key that nobody insists on',
    '',
    '{ client_ca = "/ca.pem", certificate = "/c.pem", key = "/k.pem" }',
    /not one with a key that the host can read/,
  ],
  ['with half of a key', '', '{ client_ca = "/ca.pem", key = "/k.pem" }', /only one of certificate and key/],
  ['with a peer of vsock', 'peers = ["host"]\n', undefined, /KA1401.*"host" never connects to tls:/],
  ['with a climbing peer', 'peers = ["uri:spiffe://a/../b"]\n', undefined, /KA1102.*peers entry/],
  ['with all and others', 'peers = ["*", "cn:a"]\n', undefined, /KA1102.*no effect beside it/],
] as const) {
  test(`a tls:// listener ${what} is fatal`, async () => {
    assert.match(await fails(document(rest === '' ? 'peers = ["*"]\n' : rest, tls)), expectedText);
  });
}

for (const [what, text, expectedText] of [
  ['TLS on vsock', 'tls = { client_ca = "/ca.pem" }', /KA1405.*tls has no effect at "vsock/],
  [
    'a limit of handshakes on vsock',
    'limits = { handshakes = 1 }',
    /KA1405.*the limit handshakes has no effect/,
  ],
  ['a certificate as peer of vsock', 'peers = ["cn:a"]', /KA1401.*"cn:a" never connects to vsock/],
] as const) {
  test(`${what} is fatal`, async () => {
    const listener = '[[listener]]\nname = "h"\naddress = "vsock://-1:1024"\n';
    assert.match(await fails(`${open}${listener}${text}\n`), expectedText);
  });
}

for (const address of [
  'tls://example:1',
  'tls://1.2.3:1',
  'tls://[::1:1',
  'tls://0.0.0.0:0',
  'tls://0.0.0.0:65536',
])
  test(`${address} is no address`, async () => {
    assert.match(
      await fails(`${open}[[listener]]\nname = "t"\naddress = "${address}"\n`),
      /KA1102.*an address/,
    );
  });

test('a file that a document names is part of the digest, after the documents', async () => {
  const text = document('peers = ["*"]\n', '{ client_ca = "/ca.pem" }');
  const bytes = Buffer.from(text);
  const { files, digest, documents } = await load(text, {
    files: { read: (path) => ({ ok: true, bytes: path === '/ca.pem' ? Buffer.from(pem) : bytes }) },
  });
  const sha256 = createHash('sha256').update(pem).digest('hex');
  assert.deepEqual(files, [{ key: 'listener.t.tls.client_ca', file: '/ca.pem', sha256 }]);
  const list = `${documents[0]?.sha256}\nlistener.t.tls.client_ca=${sha256}\n`;
  assert.equal(digest, createHash('sha256').update(list).digest('hex'));
  assert.equal(digest, configurationDigest(documents, files));
  assert.deepEqual(namedPaths(bytes), [{ key: 'listener.t.tls.client_ca', file: '/ca.pem' }]);
});

test('on another machine a file is not read without a root, with a warning', async () => {
  const { warnings, files } = await load(document('peers = ["*"]\n', '{ client_ca = "/ca.pem" }'), {
    offline: { later: [], sense: 'warning' },
  });
  assert.deepEqual(files, []);
  assert.match(
    warnings.map(({ message }) => message).join(),
    /\/ca\.pem is not checked, and no part of the digest/,
  );
});
