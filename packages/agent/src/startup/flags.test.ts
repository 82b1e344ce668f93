import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeFlag, type Flag, parseFlags } from './flags.js';

const file: Flag = { name: 'config', letter: 'c', value: 'file', purpose: '' };
const dev: Flag = { name: 'dev', value: 'value', optionalValue: true, purpose: '' };
const check: Flag = { name: 'check', purpose: '' };
const parse = (...argv: readonly string[]) => Object.fromEntries(parseFlags([file, dev, check], argv));

describe('flags', () => {
  for (const [argv, expected] of [
    [[], {}],
    [['--config', 'a'], { config: 'a' }],
    [['--config=a=b'], { config: 'a=b' }],
    [['--config='], { config: '' }],
    [['--config', '--check'], { config: '--check' }],
    [['-c', 'a', '-c=b'], { config: 'b' }],
    [['--check'], { check: 'true' }],
    [['--dev'], { dev: 'true' }],
    [['--dev', '--check'], { dev: 'true', check: 'true' }],
    [['--dev', 'off'], { dev: 'off' }],
    [['--dev', '-'], { dev: '-' }],
    [['--dev=no'], { dev: 'no' }],
    [['--check', '--'], { check: 'true' }],
  ] as const)
    it(`${argv.join(' ') || 'nothing'} is read`, () => assert.deepEqual(parse(...argv), expected));

  for (const [argv, message] of [
    [['--nope'], "unknown option '--nope'"],
    [['--nope=1'], "unknown option '--nope'"],
    [['-x'], "unknown option '-x'"],
    [['-xyz'], "unknown option '-xyz'"],
    [['--config'], "option '-c, --config <file>' argument missing"],
    [['--check=yes'], "option '--check' takes no value"],
    [['a', '--check'], 'too many arguments: 2, and this program takes only options'],
    [['--', '--check'], 'too many arguments: 1, and this program takes only options'],
  ] as const)
    it(`${argv.join(' ')} is refused`, () =>
      assert.throws(() => parse(...argv), { name: 'UsageError', message }));

  it('are described with the form of their value', () => {
    assert.deepEqual([file, dev, check].map(describeFlag), [
      '-c, --config <file>',
      '--dev [value]',
      '--check',
    ]);
  });
});
