import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandError, ExitCode } from './command-error.js';
import { Options, parseDuration } from './options.js';

const wrongUse =
  (pattern: RegExp) =>
  (error: unknown): boolean =>
    error instanceof CommandError && error.exitCode === ExitCode.Usage && pattern.test(error.message);

test('durations have units; a bare number is seconds', () => {
  const table: readonly [text: string, ms: number][] = [
    ['5', 5000],
    ['5s', 5000],
    ['1.5s', 1500],
    ['500ms', 500],
    ['2m', 120_000],
    ['1h', 3_600_000],
  ];
  for (const [text, ms] of table) assert.equal(parseDuration(text, '--timeout'), ms, text);
});

test('an invalid, empty or too long duration is wrong use', () => {
  for (const text of ['', '0', '-1', '5 s', '5d', 'soon', '1e3', '25d', '2147484', '999999999h']) {
    assert.throws(() => parseDuration(text, '--timeout'), wrongUse(/invalid --timeout '.*'/), text);
  }
});

test('an integer option is checked against its bounds, and the error quotes it', () => {
  const options = new Options({ readSize: '12', other: 'x' });
  assert.equal(options.whole('readSize', 1, 12), 12);
  assert.equal(options.whole('absent', 1, 12), undefined);
  assert.throws(() => options.whole('readSize', 1, 11), wrongUse(/--read-size '12'.* from 1 to 11/));
  assert.throws(() => options.whole('other', 1, 11), wrongUse(/--other 'x'/));
});

test('another thread makes its options of the values of some rows', () => {
  const rows = [
    { flags: '-r, --runtime <name>' },
    { flags: '--kata-config <file>' },
    { flags: '--image <name>' },
  ];
  const values = { runtime: 'rs', kataConfig: 'a.toml', image: ['b', 'c'], other: 'd' };
  const options = new Options(values).valuesOf(rows);
  assert.deepEqual(structuredClone(options), { runtime: 'rs', kataConfig: 'a.toml', image: ['b', 'c'] });
});
