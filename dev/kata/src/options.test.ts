import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { kataOptions, partNames, usage } from './options.js';

describe('options of npm run kata', () => {
  const checkout = mkdtempSync(join(tmpdir(), 'kata-options-'));
  mkdirSync(join(checkout, 'src', 'libs', 'protocols'), { recursive: true });
  after(() => rmSync(checkout, { recursive: true }));

  it('run every part without --only', () => {
    const options = kataOptions(['--source', checkout]);
    assert(options.help !== true);
    assert.deepEqual([options.parts, options.format, options.strict], [partNames, 'table', false]);
  });

  it('run the parts of --only in the order of a full run', () => {
    const options = kataOptions(['--source', checkout, '--only', 'shim', '--only', 'bats']);
    assert(options.help !== true);
    assert.deepEqual(options.parts, ['bats', 'shim']);
  });

  const wrong: readonly [words: readonly string[], message: RegExp][] = [
    [[], /--source is missing/],
    [['--source', tmpdir()], /not a checkout of Kata: src\/libs\/protocols is missing/],
    [['--source', checkout, '--only', 'qemu'], /--only qemu: expected one of agent-ctl, bats/],
    [['--source', checkout, '--format', 'xml'], /--format xml: expected table or json/],
    [['--source', checkout, '--agent-ctl', '/missing'], /--agent-ctl \/missing: no such file/],
  ];
  for (const [words, message] of wrong)
    it(`reject ${words.slice(2).join(' ') || words.join(' ') || 'no options'}`, () => {
      assert.throws(() => kataOptions(words), message);
    });

  it('are in the usage, with an example', () => {
    for (const name of ['--source', '--only', '--agent-ctl', '--format', '--strict', '--keep', 'Example:'])
      assert(usage.includes(name), name);
    for (const part of partNames) assert.match(usage, new RegExp(`^  ${part} `, 'm'));
  });
});
