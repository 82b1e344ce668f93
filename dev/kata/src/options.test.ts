import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { kataOptions, usage } from './options.js';
import { partNames } from './plan/plan.js';

describe('options of npm run kata', () => {
  const checkout = mkdtempSync(join(tmpdir(), 'kata-options-'));
  mkdirSync(join(checkout, 'src', 'libs', 'protocols'), { recursive: true });
  const shim = join(checkout, 'shim');
  writeFileSync(shim, '');
  after(() => rmSync(checkout, { recursive: true }));

  it('run every part without --only', () => {
    const options = kataOptions(['--source', checkout]);
    assert(options.help !== true);
    assert.deepEqual([options.parts, options.format, options.strict], [partNames, 'table', false]);
    assert.deepEqual([options.source, options.programs], [checkout, {}]);
  });

  it('need no checkout if a program is given', () => {
    const options = kataOptions(['--shim', shim]);
    assert(options.help !== true);
    assert.deepEqual([options.source, options.programs], [undefined, { shim }]);
  });

  it('run the parts of --only in the order of a full run', () => {
    const options = kataOptions(['--source', checkout, '--only', 'shim', '--only', 'bats']);
    assert(options.help !== true);
    assert.deepEqual(options.parts, ['bats', 'shim']);
  });

  const wrong: readonly [words: readonly string[], message: RegExp][] = [
    [[], /^Error: nothing of Kata is given to run: --shim, --agent-ctl or --source is missing$/],
    [['--agent', shim], /nothing of Kata is given to run/],
    [['--source', tmpdir()], /not a checkout of Kata: src\/libs\/protocols is missing/],
    [['--source', checkout, '--only', 'qemu'], /--only qemu: expected one of agent-ctl, bats/],
    [['--source', checkout, '--only', 'rs'], /--only rs: expected one of agent-ctl, bats/],
    [['--source', checkout, '--format', 'xml'], /--format xml: expected table or json/],
    [['--source', checkout, '--agent-ctl', '/missing'], /--agent-ctl \/missing: no such file/],
    [['--shim', '/missing'], /--shim \/missing: no such file/],
    [['--agent', tmpdir()], /--agent .*: this is a directory, not a file/],
  ];
  for (const [words, message] of wrong)
    it(`reject ${words.join(' ') || 'no options'}`, () => {
      assert.throws(() => kataOptions(words), message);
    });

  it('are in the usage, with an example', () => {
    for (const name of [
      'shim',
      'agent-ctl',
      'agent',
      'remote-configuration',
      'source',
      'only',
      'format',
      'strict',
      'keep',
    ])
      assert.match(usage, new RegExp(`^  --${name} `, 'm'));
    assert.match(usage, /^Example: /m);
    for (const part of partNames) assert.match(usage, new RegExp(`^  ${part} `, 'm'));
  });
});
