import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDocument, renderDiagnostic } from '../index.js';

async function check(text: string | Uint8Array): Promise<string> {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  const { diagnostics, exitCode } = await checkDocument(bytes, 'config.toml');
  assert.equal(exitCode, diagnostics.some(({ severity }) => severity === 'error') ? 1 : 0);
  return diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n\n');
}

/** A document that serves something, so that only what a test adds is reported. */
function withApi(text: string): string {
  return `api.allowed_endpoints = ["*"]\n${text}`;
}

const faults: readonly (readonly [string, string, string])[] = [
  [
    'a duplicate key',
    '[api]\nallowed_endpoints = ["*"]\nallowed_endpoints = []',
    `config.toml:3:1: error[KA1004]: this key or section is defined a second time
  allowed_endpoints = []
  ^^^^^^^^^^^^^^^^^
help: keep one of the two`,
  ],
  [
    'a duplicate section',
    '[api]\n[agent]\n[api]',
    `config.toml:3:2: error[KA1004]: this key or section is defined a second time
  [api]
   ^^^
help: keep one of the two`,
  ],
  [
    'a value without quotes',
    withApi('[agent]\nlog_level = debug'),
    `config.toml:3:13: error[KA1005]: a text must be in quotes
  log_level = debug
              ^^^^^
help: write "debug"`,
  ],
  [
    'a key with a look-alike letter',
    withApi('[agent]\nl\u043eg_level = "debug"'),
    `config.toml:3:2: error[KA1003]: "\u043e" (U+043E, Cyrillic) is not allowed here
  l\u043eg_level = "debug"
   ^
help: a text is in quotes, true and false are lower-case, a list is in [ ]`,
  ],
  [
    'a document that was cut off',
    '[api]\nallowed_endpoints = ["@pod',
    `config.toml:2:27: error[KA1003]: this text has no closing quote
  allowed_endpoints = ["@pod
                            ^
help: close it on the same line`,
  ],
  [
    'a number that TOML does not have',
    withApi('[audit]\nkeep = 1__0'),
    `config.toml:3:10: error[KA1003]: not valid TOML: Underscores are allowed between digits
  keep = 1__0
           ^^
help: see https://toml.io/en/v1.0.0`,
  ],
];

for (const [name, text, rendered] of faults) {
  test(`${name} is reported with its place and a fix`, async () => {
    assert.equal(await check(text), rendered);
  });
}

test('a byte order mark, UTF-16, invalid UTF-8 and an oversized document are distinguished', async () => {
  assert.equal(
    await check('\ufeff[api]\nallowed_endpoints = ["*"]'),
    "config.toml:1:1: error[KA1002]: the document begins with a byte order mark (U+FEFF)\nhelp: remove its first three bytes: sed -i '1s/^\\xEF\\xBB\\xBF//' config.toml",
  );
  for (const bytes of [Buffer.from('\ufeff[api]', 'utf16le'), Buffer.from([0xfe, 0xff, 0, 0x5b])]) {
    assert.equal(
      await check(bytes),
      'config.toml:1:1: error[KA1002]: the document is UTF-16; it must be UTF-8 without a byte order mark\nhelp: convert it: iconv -f UTF-16 -t UTF-8 config.toml',
    );
  }
  assert.equal(
    await check(Buffer.from('[api]\nrelease = "\u00e9\xff', 'latin1')),
    "config.toml:2:12: error[KA1002]: byte 17 of the document, 0xe9, is not UTF-8\nhelp: find it: grep -naxv '.*' config.toml",
  );
  assert.equal(
    await check(new Uint8Array(262_145)),
    'config.toml:1:1: error[KA1001]: the document has 262145 bytes; at most 256KiB are allowed\nhelp: a configuration is a few KiB',
  );
});

test('every kind of ill-formed UTF-8 is reported at its start', async () => {
  const illFormed = [
    [0x80],
    [0xc0, 0x80],
    [0xc1, 0xbf],
    [0xc3],
    [0xc3, 0x28],
    [0xe0, 0x80, 0x80],
    [0xe2, 0x82],
    [0xe2, 0x28, 0xa1],
    [0xed, 0xa0, 0x80],
    [0xf0, 0x80, 0x80, 0x80],
    [0xf0, 0x9f, 0x92],
    [0xf4, 0x90, 0x80, 0x80],
    [0xf5, 0x80, 0x80, 0x80],
    [0xff],
  ];
  for (const bytes of illFormed) {
    const before = '# \u00e9\u20ac\u{1f600}\n# ';
    const rendered = await check(Buffer.concat([Buffer.from(before), Buffer.from(bytes)]));
    assert.match(
      rendered,
      /^config\.toml:2:3: error\[KA1002\]: byte 14 of the document, 0x/,
      Buffer.from(bytes).toString('hex'),
    );
  }
});

test('a document with deep nesting or a huge string is rejected without a crash', async () => {
  const message =
    'config.toml:1:1: error[KA1006]: the document nests too deeply, or holds a text that is too long';
  for (const text of [
    `x = ${'['.repeat(40)}${']'.repeat(40)}`,
    `x = ${'['.repeat(60_000)}${']'.repeat(60_000)}`,
    `x = ${'{a='.repeat(40)}1${'}'.repeat(40)}`,
    `${'a.'.repeat(40)}a = 1`,
    `[${'a.'.repeat(40)}a]`,
    `x = "${'a'.repeat(250_000)}"`,
  ]) {
    assert.ok((await check(text)).startsWith(message), text.slice(0, 20));
  }
});

test('all ways to write a table are equivalent', async () => {
  for (const text of [
    '[api]\nallowed_endpoints = []\nblocked_endpoints = ["ExecProcess"]',
    'api = { allowed_endpoints = [], blocked_endpoints = ["ExecProcess"] }',
    'api.allowed_endpoints = []\napi."blocked_endpoints" = ["ExecProcess"]',
    "['api']\nallowed_endpoints = [\n  # none\n]\r\n\"blocked_endpoints\" = [ '''\nExecProcess''', ]",
  ]) {
    assert.match(await check(text), /these lists leave nothing/, text);
  }
});
