import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import type { Configuration } from '../index.js';
import { delivering, dropIns, fails, load } from '../loading.test.fixture.js';

const keyPem = (): string =>
  generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();
const [keyA, keyB] = [keyPem(), keyPem()];
const digest = 'ab'.repeat(32);

const base = (image: string): string =>
  `[api]\nallowed_endpoints = ["@pod"]\n[delivery]\naccept = ["drop_ins"]\nrequired = false\n[image]\n${image}\n`;
const signed = (scope: string, key: string): string =>
  `signatures = [{ scope = "${scope}", keys = ['''${key}'''], formats = ["bundle"] }]\n`;
const stack = (image: string, ...later: readonly string[]): Parameters<typeof load> => [
  base(image),
  {
    delivery: [
      dropIns(Object.fromEntries(later.map((text, index) => [`/d/${index}.toml`, `[image]\n${text}\n`]))),
    ],
  },
];
const loaded = async (...documents: Parameters<typeof stack>): Promise<Configuration['image']> =>
  (await load(...stack(...documents))).image;

const builtIn = 'puller = "built-in"\n';

test('each document with registries narrows: the lists stay apart', async () => {
  const image = await loaded(
    `${builtIn}registries = ["a.example/**"]`,
    'registries = ["a.example/team/*"]',
    'registries = []',
  );
  assert.deepEqual(image.registries, [['a.example/**'], ['a.example/team/*'], []]);
  const first = await loaded(builtIn, 'registries = ["a.example/**"]');
  assert.deepEqual(first.registries, [['a.example/**']]);
});

test('the first document with signatures says which images are accepted; further ones add requirements', async () => {
  const { signatures } = await loaded(
    `${builtIn}${signed('a.example/**', keyA)}`,
    signed('a.example/team/*', keyB),
    signed('b.example/**', keyB),
  );
  const formats = ['bundle'];
  assert.deepEqual(signatures, [
    { entries: [{ scope: 'a.example/**', keys: [keyA], formats }], closed: true },
    { entries: [{ scope: 'a.example/team/*', keys: [keyB], formats }], closed: false },
    { entries: [{ scope: 'b.example/**', keys: [keyB], formats }], closed: false },
  ]);
});

test('without signatures in the base each further document with some says which images are accepted', async () => {
  const { signatures } = await loaded(builtIn, signed('**', keyA), signed('a.example/**', keyB));
  assert.deepEqual(
    signatures.map(({ entries: [entry], closed }) => [entry?.scope, closed]),
    [
      ['**', true],
      ['a.example/**', true],
    ],
  );
  assert.deepEqual((await loaded(builtIn)).signatures, []);
});

test('a digest is demanded and never waived; the lowest size counts', async () => {
  const limits = (image: Configuration['image']) => [image.requireDigest, image.maxSize];
  const wide = `${builtIn}require_digest = true\nmax_size = "1GiB"`;
  assert.deepEqual(limits(await loaded(wide, 'require_digest = false\nmax_size = "2GiB"')), [true, 2 ** 30]);
  assert.deepEqual(limits(await loaded(builtIn, 'require_digest = true\nmax_size = "1MiB"')), [
    true,
    2 ** 20,
  ]);
});

const refused: readonly (readonly [name: string, image: string, later: string, RegExp])[] = [
  ...[
    'puller = "built-in"',
    'registry_ca = "/etc/ca.pem"',
    'mirrors = { "docker.io" = "a.example/m" }',
    'token_hosts = { "a.example" = ["b.example"] }',
    'credentials = "kbs:///a/b/c"',
    'proxy = "http://a.example:1"',
  ].map((key) => [key, builtIn, key, /KA1709.*is allowed only in the base document/] as const),
  [
    'an invalid puller',
    '',
    'require_digest = true',
    /^\/d\/0\.toml:2:1: error\[KA1113\]: require_digest has no effect: the base/,
  ],
  [
    'a puller that is cdh',
    'puller = "cdh"',
    'registries = ["a.example/**"]',
    /KA1113.*registries has no effect/,
  ],
  [
    'a trusted root in a file',
    builtIn,
    'signatures = [{ scope = "**", trusted_root = "/t.json", identities = [{ issuer = "i", subject = "s" }], formats = ["bundle"] }]',
    /KA1716.*names the file "\/t\.json"/,
  ],
  ['a key in a file', builtIn, signed('**', '/etc/key.pub'), /KA1716.*names the file "\/etc\/key\.pub"/],
];

for (const [name, image, later, message] of refused)
  test(`a further document is refused: ${name}`, async () => {
    const [text, inputs] = stack(image, later);
    assert.match(await fails(text, inputs), message);
  });

test('may_set leaves signatures to a bound document; without one that has them the agent does not start', async () => {
  const may = base(builtIn).replace(
    'accept = ["drop_ins"]\nrequired = false',
    `accept = ["fw_cfg", "drop_ins"]\nbind = "sha256:${digest}"\nmay_set = ["image.signatures"]`,
  );
  const bound = (text: string) => ({ delivery: [delivering('fw_cfg', { 'fw.toml': text }), dropIns({})] });
  const pinned = (text: string): string =>
    may.replace(digest, createHash('sha256').update(text).digest('hex'));
  const own = `[image]\n${signed('**', keyA)}`;
  const { image } = await load(pinned(own), bound(own));
  assert.deepEqual(
    image.signatures.map(({ entries }) => entries.map(({ keys }) => keys)),
    [[[keyA]]],
  );
  const none = '[limits]\nconnections = 3\n';
  assert.match(
    await fails(pinned(none), bound(none)),
    /KA1717.*no delivered document sets image\.signatures/,
  );
  const unboundOnly = {
    delivery: [delivering('fw_cfg', { 'fw.toml': none }), dropIns({ '/d/1.toml': own })],
  };
  assert.match(await fails(pinned(none), unboundOnly), /KA1717/);
  assert.match(
    await fails(pinned(own).replace(builtIn, `${builtIn}${signed('**', keyB)}`), bound(own)),
    /KA1715.*this document sets image\.signatures itself/,
  );
});
