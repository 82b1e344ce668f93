import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guestExtension } from './guest-extension.js';

test('an extension image has a name and a root hash', () => {
  const hash = `sha256:${'0a'.repeat(32)}`;
  for (const good of [`devkit=${hash}`, `a_b-1=${hash}`])
    assert.deepEqual(guestExtension.fromText(good), { ok: true, value: good });
  const wrong = [
    '',
    'devkit',
    hash,
    `=${hash}`,
    `a.b=${hash}`,
    `../x=${hash}`,
    `devkit=${hash}0`,
    `devkit=${hash.toUpperCase()}`,
    'devkit=sha256:',
    `devkit=${'0a'.repeat(32)}`,
    `devkit=${hash} `,
  ];
  for (const bad of wrong) assert.equal(guestExtension.fromText(bad).ok, false, bad);
});
