import assert from 'node:assert/strict';
import { test } from 'node:test';
import { componentError } from './data-hub-client.js';

test('a chain of causes is one sentence: the first and the last', () => {
  for (const [text, sentence] of [
    ['the key broker refuses', 'the key broker refuses'],
    ['[CDH] [ERROR]: Get Resource failed', 'Get Resource failed'],
    [
      '[CDH] [ERROR]: Image Pull error: Failed to pull image docker.io/library/busybox:latest: Failed to fetch manifest: Registry error: url https://registry.example/v2/x/manifests/latest, envelope: {"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"latest"}}]}',
      'Image Pull error: manifest unknown',
    ],
    [
      'Error: Unseal Secret failed\n\nCaused by:\n    0: unseal vault secret failed\n    1: kms interface when get secret\n    2: connection refused',
      'Unseal Secret failed: connection refused',
    ],
    ['\x1b[31mred\x1b[0m: plain words', 'red: plain words'],
    ['', 'an error without a text'],
    ['{"a":{"b":1}}', 'an error without a text'],
  ] as const)
    assert.equal(componentError(text), sentence, text);
});

test('nothing that the component quotes is left', () => {
  const secret = 'c2VjcmV0IGtleSBvZiB0aGUgdmF1bHQ0Mg';
  for (const text of [
    `Unseal Secret failed: JSON Parsing Error: invalid type: string "${secret}", expected a map`,
    `Unseal Secret failed: JSON Parsing Error: unexpected '${secret}' at line 1`,
    `Unseal Secret failed: bad key \`${secret}\``,
    `Unseal Secret failed: got ${secret}`,
    `Unseal Secret failed: got ${secret}${secret}${secret}=`,
    `Unseal Secret failed: {"key":"${secret}"}`,
    `Unseal Secret failed: {"message":"${secret} x"}`,
    `Get Resource failed: https://user:${secret}@broker.example/x`,
    `Get Resource failed: https://broker.example/x?token=${secret}`,
    `Unseal Secret failed: "${secret}`,
    `Unseal Secret failed: got "a\\"b hidden words", expected a map`,
    `Unseal Secret failed: got "a\\" hidden words`,
    `Unseal Secret failed: {"key":"}hidden words"}`,
    `Unseal Secret failed: {"key":"a\\"}hidden words"}`,
  ]) {
    const shown = componentError(text);
    assert.ok(!shown.includes(secret) && !shown.includes('hidden'), shown);
    assert.match(shown, /^(?:Unseal Secret|Get Resource) failed/);
  }
  assert.ok(componentError('word '.repeat(1_000)).length <= 300);
});
