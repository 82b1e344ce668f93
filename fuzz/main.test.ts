import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('main.js', import.meta.url));

function fuzz(...words: readonly string[]): { readonly status: number | null; readonly text: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...words], { encoding: 'utf8' });
  return { status, text: stdout + stderr };
}

test('--help prints the usage', () => {
  const { status, text } = fuzz('--help');
  assert.equal(status, 0);
  assert.match(text, /^Usage: npm run fuzz[^]*--target NAME +frames, decode, /);
});

for (const [words, message] of [
  [['--what'], /^Unknown option '--what'/],
  [['target'], /^Unexpected argument 'target'/],
  [['--target', 'none'], /^--target none: there is no such target\n\nUsage: /],
  [['--runs', '0'], /^--runs 0: must be an integer from 1 on\n/],
  [['--seed', 'x'], /^--seed x: must be an integer\n/],
] as const)
  test(`${words.join(' ')} is a usage error`, () => {
    const { status, text } = fuzz(...words);
    assert.equal(status, 2, text);
    assert.match(text, message);
    assert.doesNotMatch(text, /\n +at /);
  });

test('a target runs', () => {
  const { status, text } = fuzz('--target', 'frames', '--runs', '5', '--seed', '7');
  assert.equal(status, 0, text);
  assert.match(text, /^seed 7\nframes +5 runs, /);
});
