import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { namedPaths } from '../index.js';
import { explainConfiguration } from '../explain/explain-configuration.js';
import { renderExplanation } from '../explain/render-explanation.js';
import { fails, filesOf, load, pod } from '../loading.test.fixture.js';

const key = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();
const ca = '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n';
const builtIn = (keys: string): string => `${pod}[image]\npuller = "built-in"\n${keys}\n`;
const everything = builtIn(`registries = ["registry.example/team/*", "localhost:5000/a/**", "**"]
registry_ca = "/ca.pem"
credentials = "/auth.json"
insecure_static_credentials = true
token_hosts = { "registry.example" = ["auth.example"] }
mirrors = { "docker.io" = "registry.example/mirror" }
proxy = "http://proxy.example:3128"
require_digest = true
max_size = "64MiB"
signatures = [
  { scope = "registry.example/team/*", keys = ["/a.pub", ${JSON.stringify(key)}], formats = ["bundle"] },
  { scope = "**", keys = ["/b.pub"], formats = ["bundle", "simple-signing"] },
]`);
const keyless =
  '{ scope = "**", trusted_root = "/t.json", identities = [{ issuer = "https://issuer.example", subject = "me@example.com" }], formats = ["bundle"] }';
const trustedRoot = '{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}';
const files = { '/ca.pem': ca, '/auth.json': '{"auths": {}}', '/a.pub': key, '/b.pub': key };

test('the built-in puller has the texts of all files that [image] names, and they are measured', async () => {
  const { image, ...configuration } = await load(everything, {
    files: filesOf({ '/c.toml': everything, ...files }),
  });
  assert.deepEqual(image, {
    puller: 'built-in',
    registries: [['registry.example/team/*', 'localhost:5000/a/**', '**']],
    registryCa: ca,
    credentials: '/auth.json',
    insecureStaticCredentials: true,
    tokenHosts: { 'registry.example': ['auth.example'] },
    mirrors: { 'docker.io': 'registry.example/mirror' },
    proxy: 'http://proxy.example:3128',
    requireDigest: true,
    signatures: [
      {
        entries: [
          { scope: 'registry.example/team/*', keys: [key, key], formats: ['bundle'] },
          { scope: '**', keys: [key], formats: ['bundle', 'simple-signing'] },
        ],
        closed: true,
      },
    ],
    maxSize: 64 * 1024 ** 2,
    decryptionKeys: undefined,
    store: 'memory',
    layers: 'pulled',
    staticCredentials: '{"auths": {}}',
  });
  const named = [
    { key: 'image.credentials', file: '/auth.json' },
    { key: 'image.registry_ca', file: '/ca.pem' },
    { key: 'image.signatures[0].keys[0]', file: '/a.pub' },
    { key: 'image.signatures[1].keys[0]', file: '/b.pub' },
  ];
  assert.deepEqual(
    configuration.files.map((each) => ({ key: each.key, file: each.file })),
    named,
  );
  assert.deepEqual(namedPaths(Buffer.from(everything)), named);
  const explained = renderExplanation(explainConfiguration({ image, ...configuration }));
  assert.match(
    explained,
    / token_hosts = \{ "registry\.example" = \["auth\.example"\] \}.*# \/c\.toml:\d+\n/,
  );
  assert.match(explained, /signatures = \[\{ scope = "registry\.example\/team\/\*", keys = \["\/a\.pub", /);
});

test('a trusted root is a file, which is measured, or text; an explanation has it as it is written', async () => {
  for (const [written, named] of [
    ['/t.json', [{ key: 'image.signatures[0].trusted_root', file: '/t.json' }]],
    [trustedRoot, []],
  ] as const) {
    const text = builtIn(`signatures = [${keyless.replace('"/t.json"', JSON.stringify(written))}]`);
    const configuration = await load(text, { files: filesOf({ '/c.toml': text, '/t.json': trustedRoot }) });
    const identities = [{ issuer: 'https://issuer.example', subject: 'me@example.com' }];
    assert.deepEqual(configuration.image.signatures, [
      {
        entries: [{ scope: '**', keys: [], formats: ['bundle'], keyless: { trustedRoot, identities } }],
        closed: true,
      },
    ]);
    assert.deepEqual(
      configuration.files.map(({ key, file }) => ({ key, file })),
      named,
    );
    assert.deepEqual(namedPaths(Buffer.from(text)), named);
    assert.ok(
      renderExplanation(explainConfiguration(configuration)).includes(
        `trusted_root = ${JSON.stringify(written)}, identities = [{ issuer = "https://issuer.example", subject = "me@example.com" }], formats = ["bundle"] }]`,
      ),
    );
  }
});

test('credentials of the key broker are no file', async () => {
  const text = builtIn('credentials = "kbs:///default/credential/registry"');
  const { image, files: read } = await load(text);
  assert.equal(image.credentials, 'kbs:///default/credential/registry');
  assert.equal(image.staticCredentials, undefined);
  assert.deepEqual([read, namedPaths(Buffer.from(text))], [[], []]);
});

const unused = [
  'registries = []',
  `registry_ca = ${JSON.stringify(ca)}`,
  'credentials = "kbs:///a/b/c"',
  'token_hosts = {}',
  'mirrors = {}',
  'proxy = "http://a:1"',
  'require_digest = false',
  'signatures = []',
  'max_size = "1GiB"',
];
for (const line of unused)
  test(`${line.split(' ')[0]} is an error without the built-in puller`, async () => {
    for (const puller of ['', 'puller = "none"\n', 'puller = "cdh"\n'])
      assert.match(await fails(`${pod}[image]\n${puller}${line}\n`), /KA1113.*has no effect without puller/);
    await load(builtIn(line));
  });

const signature = (entry: string): string => builtIn(`signatures = [${entry}]`);
const wrong: readonly (readonly [what: string, document: string, expectedText: RegExp])[] = [
  ['a file of credentials', builtIn('credentials = "/auth.json"'), /KA1114.*each reader of the guest image/],
  ['no file', builtIn('insecure_static_credentials = true'), /KA1114.*credentials is no file/],
  [
    'a resource without a data hub',
    `[agent]\nguest_components_procs = "attestation-agent"\n${builtIn('credentials = "kbs:///a/b/c"')}`,
    /KA1111.*credentials is a resource with guest_components_procs/,
  ],
  ['another resource', builtIn('credentials = "kbs://host/a/b/c"'), /KA1102.*kbs:\/\/\/REPOSITORY/],
  ['a host as a pattern', builtIn('registries = ["registry.example"]'), /KA1102.*a pattern of repositories/],
  ['an upper-case host', builtIn('registries = ["Registry.example/*"]'), /KA1102/],
  ['a token host with a path', builtIn('token_hosts = { "a.example" = ["b.example/x"] }'), /KA1102.*a host/],
  ['a proxy with a password', builtIn('proxy = "http://me:secret@a:1"'), /KA1102.*without user, password/],
  ['a mirror with a scheme', builtIn('mirrors = { "docker.io" = "https://a" }'), /KA1102.*in lower case/],
  ['no scope', signature('{ keys = ["/a.pub"], formats = ["bundle"] }'), /KA1102.*without scope/],
  ['no keys', signature('{ scope = "**", formats = ["bundle"] }'), /KA1102.*without keys/],
  [
    'digests beside keys',
    signature(
      `{ scope = "**", keys = ["/a.pub"], formats = ["bundle"], digests = ["sha256:${'0'.repeat(64)}"] }`,
    ),
    /KA1102.*with digests and keys/,
  ],
  ['no digests', signature('{ scope = "**", digests = [] }'), /KA1102.*without digests/],
  [
    'a digest in capitals',
    signature(`{ scope = "**", digests = ["sha256:${'A'.repeat(64)}"] }`),
    /KA1102.*one with digests = /,
  ],
  ['no formats', signature('{ scope = "**", keys = ["/a.pub"], formats = [] }'), /KA1102.*without formats/],
  [
    'keyless',
    signature('{ scope = "**", keys = ["/a"], formats = ["keyless"] }'),
    /KA1102[^]*formats is "bundle" or "simple-signing"/,
  ],
  [
    'identities without a trusted root',
    signature('{ scope = "**", identities = [{ issuer = "i", subject = "s" }], formats = ["bundle"] }'),
    /KA1102.*with identities and without trusted_root/,
  ],
  [
    'a trusted root without identities',
    signature('{ scope = "**", trusted_root = "/t.json", formats = ["bundle"] }'),
    /KA1102.*with trusted_root and without identities/,
  ],
  [
    'keys beside a trusted root',
    signature(`{ keys = ["/a.pub"], ${keyless.slice(2)}`),
    /KA1102.*with keys and trusted_root/,
  ],
  [
    'a trusted root without formats',
    signature(keyless.replace(', formats = ["bundle"]', '')),
    /KA1102.*without formats/,
  ],
  [
    'digests beside a trusted root',
    signature(keyless.replace('formats = ["bundle"]', `digests = ["sha256:${'0'.repeat(64)}"]`)),
    /KA1102.*with digests and keys/,
  ],
  [
    'an identity without issuer',
    signature(keyless.replace('issuer = "https://issuer.example", ', '')),
    /KA1102[^]*help: identities is a table with issuer, subject/,
  ],
  [
    'an identity with a pattern of another key',
    signature(keyless.replace('subject', 'subject_regexp')),
    /KA1102[^]*help: identities is a table with issuer, subject/,
  ],
  ['an empty subject', signature(keyless.replace('"me@example.com"', '""')), /KA1102.*one with identities/],
  [
    'a trusted root that is not a file',
    signature(keyless.replace('/t.json', '/missing.json')),
    /KA1406.*signatures\[0\]\.trusted_root/,
  ],
  ...['{}', '{', '{"mediaType": 1}'].map(
    (root) =>
      [
        `${root} as a trusted root`,
        signature(keyless.replace('"/t.json"', JSON.stringify(root))),
        /KA1406.*is no Sigstore trusted root/,
      ] as const,
  ),
  ['a missing key', signature('{ scope = "**", keys = ["/x"], formats = ["bundle"] }'), /KA1406.*keys\[0\]/],
  [
    'a key that is a certificate',
    signature(`{ scope = "**", keys = [${JSON.stringify(ca)}], formats = ["bundle"] }`),
    /KA1406.*has no public key/,
  ],
  [
    'decryption keys in a file',
    builtIn('decryption_keys = "/etc/key.pem"'),
    /KA1102.*decryption_keys must be "kbs:\/\/\/REPOSITORY/,
  ],
  [
    'decryption keys without data hub',
    `[agent]\nguest_components_procs = "attestation-agent"\n${builtIn('decryption_keys = "kbs:///a/b/c"')}`,
    /KA1111.*decryption_keys is a resource with guest_components_procs/,
  ],
  ['an invalid store', builtIn('store = "disk"'), /KA1102.*store/],
  [
    'a store without a puller',
    `${pod}[image]\nstore = "encrypted-disk"\n`,
    /KA1113.*store has no effect without puller = "built-in" or "cdh"/,
  ],
  ['verified layers and a puller', builtIn('layers = "verified"'), /KA1116.*has no effect with layers/],
];
test('the data hub can have a store, too', async () => {
  const { image } = await load(`${pod}[image]\npuller = "cdh"\nstore = "encrypted-disk"\n`);
  assert.deepEqual([image.puller, image.store], ['cdh', 'encrypted-disk']);
});

for (const [what, document, expectedText] of wrong)
  test(`${what}: an error with its remedy`, async () => {
    assert.match(await fails(document), expectedText);
  });
