import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TomlValue } from '../toml/toml-value.js';
import { boolean, countOrMax, integer, oneOf, port, seconds } from './scalars.js';
import { deniedOutput, duration, size, utcTime, writeDuration, writeSize } from './quantities.js';
import { register } from './evidence.js';
import { endpointList, optional, path, release, textList, url, words } from './text.js';
import { serverAddress } from './addresses.js';
import type { ValueType } from './value-type.js';

const span = { file: 'f', line: 1, column: 1, endColumn: 2 };

function toml(value: string | bigint | boolean | readonly TomlValue[]): TomlValue {
  if (typeof value === 'string') return { kind: 'string', value, span, range: [0, 1] };
  if (typeof value === 'bigint') return { kind: 'integer', value, span };
  if (typeof value === 'boolean') return { kind: 'boolean', value, span };
  return { kind: 'array', items: [...value], span };
}

const float: TomlValue = { kind: 'float', text: '3.2', span };
const date: TomlValue = { kind: 'date', text: '2026-01-01', span };
const table: TomlValue = { kind: 'table', entries: new Map(), span };

function texts<T>(
  type: ValueType<T>,
  accepted: readonly (readonly [string, T])[],
  refused: readonly string[],
): void {
  for (const [text, value] of accepted) assert.deepEqual(type.fromText(text), { ok: true, value }, text);
  for (const text of refused) assert.equal(type.fromText(text).ok, false, JSON.stringify(text));
}

function tomls<T>(
  type: ValueType<T>,
  accepted: readonly (readonly [TomlValue, T])[],
  refused: readonly TomlValue[],
): void {
  for (const [value, read] of accepted) assert.deepEqual(type.fromToml(value), { ok: true, value: read });
  for (const value of [...refused, float, date, table])
    assert.equal(type.fromToml(value).ok, false, value.kind);
}

test('booleans: TOML has two values, overrides those of Kata and systemd', () => {
  texts(
    boolean,
    [
      ['true', true],
      ['1', true],
      ['11', true],
      ['yes', true],
      ['on', true],
      ['false', false],
      ['0', false],
      ['00', false],
      ['no', false],
      ['off', false],
    ],
    ['', 'a', 'True', 'TRUE', '-1', '1.0', ' true'],
  );
  tomls(
    boolean,
    [
      [toml(true), true],
      [toml(false), false],
    ],
    [toml('true'), toml(1n), toml([])],
  );
  assert.equal(boolean.write(true), 'true');
});

test('integers are limited to their bounds, for texts of any length', () => {
  const small = integer({ min: -5, max: 9 });
  texts(
    small,
    [
      ['-5', -5],
      ['0', 0],
      ['9', 9],
    ],
    ['-6', '10', '', '1e0', '0x1', '1_0', '+1', ' 1', '9'.repeat(30)],
  );
  tomls(small, [[toml(9n), 9]], [toml(10n), toml(-6n), toml(2n ** 70n), toml('9'), toml(true)]);
  assert.deepEqual(small.fromText('x'), { ok: false, expected: 'a whole number from -5 to 9' });
  const open = integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  assert.deepEqual(open.fromText('-1'), { ok: false, expected: 'a whole number from 0 on' });
  texts(
    port,
    [
      ['0', 0],
      ['4294967294', 4_294_967_294],
    ],
    ['-1', '4294967295'],
  );
  texts(
    seconds,
    [
      ['1', 1],
      ['2147483', 2_147_483],
    ],
    ['0', '2147484'],
  );
  assert.equal(port.write(1024), '1024');
});

test('a register is one that a guest can extend', () => {
  texts(
    register,
    [
      ['0', 0],
      ['16', 16],
      ['23', 23],
    ],
    ['17', '22', '24', '-1', '', '023'],
  );
  tomls(register, [[toml(8n), 8]], [toml(17n), toml(22n), toml(24n), toml(-1n), toml('8')]);
  assert.equal(register.write(23), '23');
});

test('an unlimited count is “max” or Kata’s number for it', () => {
  texts(
    countOrMax,
    [
      ['0', 0],
      ['max', 'max'],
      ['18446744073709551615', 'max'],
      ['9007199254740991', 9_007_199_254_740_991],
    ],
    ['9007199254740992', '-1', '', 'Max'],
  );
  tomls(
    countOrMax,
    [
      [toml('max'), 'max'],
      [toml(5n), 5],
    ],
    [toml(-1n), toml('5'), toml(2n ** 60n)],
  );
  assert.equal(countOrMax.write('max'), '"max"');
  assert.equal(countOrMax.write(3), '3');
});

test('sizes are bytes or have a unit; decimal units are rejected with the binary one', () => {
  const type = size({ min: 4096, max: 2 ** 30 });
  texts(
    type,
    [
      ['4096', 4096],
      ['4096B', 4096],
      ['4KiB', 4096],
      ['16 MiB', 16_777_216],
      ['1GiB', 2 ** 30],
    ],
    ['4095', '2GiB', '', 'MiB', '-4KiB', '1.5MiB', '1TiB', '1  MiB', '9'.repeat(40)],
  );
  tomls(
    type,
    [
      [toml(4096n), 4096],
      [toml('16MiB'), 16_777_216],
    ],
    [toml(1n), toml(2n ** 70n), toml(true)],
  );
  const help = (text: string): string | undefined => {
    const reading = type.fromText(text);
    return reading.ok ? undefined : reading.help;
  };
  assert.equal(help('16MB'), 'did you mean "16MiB"?');
  assert.equal(help('16k'), 'did you mean "16KiB"?');
  assert.equal(help('16TB'), undefined);
  assert.deepEqual([0, 1000, 1024, 16_777_216, 2 ** 30].map(writeSize), [
    '0',
    '1000',
    '1KiB',
    '16MiB',
    '1GiB',
  ]);
  assert.deepEqual([type.write(5000), type.write(16_777_216)], ['5000', '"16MiB"']);
});

test('durations are seconds or have a unit', () => {
  const type = duration({ minMs: 100, maxMs: 3_600_000 });
  texts(
    type,
    [
      ['100ms', 100],
      ['1', 1000],
      ['10s', 10_000],
      ['2m', 120_000],
      ['1h', 3_600_000],
    ],
    ['99ms', '2h', '', 's', '1 s', '-1s', '1d', '0'],
  );
  tomls(
    type,
    [
      [toml(10n), 10_000],
      [toml('500ms'), 500],
    ],
    [toml(0n), toml(2n ** 70n), toml(true)],
  );
  assert.deepEqual([0, 500, 10_000, 90_000, 120_000].map(writeDuration), [
    '0ms',
    '500ms',
    '10s',
    '90s',
    '2m',
  ]);
  assert.equal(type.write(10_000), '"10s"');
});

test('times are in UTC, exist, and have one form', () => {
  texts(
    utcTime,
    [
      ['2026-11-26T00:00:00Z', Date.UTC(2026, 10, 26)],
      ['1970-01-01T00:00:00Z', 0],
      ['2231-12-31T23:59:59Z', Date.UTC(2232, 0) - 1000],
    ],
    [
      '',
      '2026-11-26',
      '2026-11-26T00:00:00',
      '2026-11-26T00:00:00+00:00',
      '2026-11-26T00:00:00.5Z',
      '2026-11-26t00:00:00z',
      '2026-11-26 00:00:00Z',
      '2026-02-30T00:00:00Z',
      '2026-11-26T24:00:00Z',
      '2026-12-31T23:59:60Z',
      '1969-12-31T23:59:59Z',
      '2232-01-01T00:00:00Z',
      '1764115200',
    ],
  );
  tomls(utcTime, [[toml('1970-01-01T00:00:01Z'), 1000]], [toml(1n), toml('x')]);
  assert.equal(utcTime.write(Date.UTC(2026, 10, 26)), '"2026-11-26T00:00:00Z"');
});

test('words are exact, and synonyms are converted', () => {
  const type = oneOf(['refuse', 'allow'], new Map([['deny', 'refuse']]));
  texts(
    type,
    [
      ['refuse', 'refuse'],
      ['deny', 'refuse'],
    ],
    ['Refuse', '', 'refuse '],
  );
  tomls(type, [[toml('allow'), 'allow']], [toml(true), toml([])]);
  assert.deepEqual(type.fromText('alow'), {
    ok: false,
    expected: '"refuse" or "allow"',
    help: 'did you mean "allow"?',
  });
  assert.deepEqual(type.fromText('qqqqqq'), { ok: false, expected: '"refuse" or "allow"' });
  assert.equal(oneOf(['one']).name, '"one"');
  assert.equal(type.write('allow'), '"allow"');
});

test('releases have two or three numbers and start at 2.0', () => {
  texts(
    release,
    [
      ['2.0', '2.0'],
      ['3.21', '3.21'],
      ['3.21.0', '3.21.0'],
    ],
    ['', '3', '1.12', '3.021', '3.21.', 'v3.21', '3.21.0-rc0', '33333.1'],
  );
  tomls(release, [[toml('3.21'), '3.21']], [toml(3n), toml(true)]);
  assert.equal(release.write('3.21'), '"3.21"');
});

test('addresses are vsock or unix sockets of valid length', () => {
  const same = (text: string): readonly [string, string] => [text, text];
  texts(
    serverAddress,
    [
      'vsock://-1:1024',
      'vsock://3:1',
      'unix:///run/a.sock',
      'unix://@name',
      `unix:///${'a'.repeat(106)}`,
      `unix://@${'a'.repeat(107)}`,
    ].map(same),
    [
      '',
      'vsock://-2:1',
      'vsock://-1:0',
      'vsock://-1:4294967295',
      'vsock://4294967295:1',
      'vsock://:1',
      'vsock://-1',
      'unix://',
      'unix://a',
      'unix:///',
      'unix://@',
      `unix:///${'a'.repeat(107)}`,
      `unix://@${'a'.repeat(108)}`,
      'unix:///a\u0000b',
      'tcp://0.0.0.0:1',
      'tls://0.0.0.0:1',
      ' vsock://-1:1',
    ],
  );
});

test('paths are absolute and clean; URLs and texts are validated', () => {
  const same = (text: string): readonly [string, string] => [text, text];
  texts(path, ['/a', '/run/kata-agent/audit.log', '/a b', '/..a'].map(same), [
    '',
    '/',
    'a',
    './a',
    '/a/',
    '/a//b',
    '/a/../b',
    '/a/.',
    '/a\nb',
  ]);
  texts(url, ['http://proxy:1', 'https://u:p@h/'].map(same), ['', 'proxy', 'http://a b', 'http://a\n']);
  texts(words, ['a', '10.0.0.0/8,.x'].map(same), ['', 'a\nb']);
  tomls(words, [[toml('a'), 'a']], [toml(1n), toml('')]);
  assert.equal(optional(words).write(undefined), '(not set)');
  assert.equal(optional(words).write('a"b'), '"a\\"b"');
  assert.deepEqual(optional(words).fromText('a'), { ok: true, value: 'a' });
  assert.deepEqual(optional(words).fromToml(toml('a')), { ok: true, value: 'a' });
});

test('lists contain strings; entries of endpoint lists are checked on expansion', () => {
  tomls(
    textList,
    [
      [toml([]), []],
      [toml([toml('a')]), ['a']],
    ],
    [toml('a'), toml([toml(1n)])],
  );
  tomls(endpointList, [[toml([toml('a'), toml(1n)]), ['a']]], [toml('a')]);
  texts(
    textList,
    [
      ['', []],
      ['a,b', ['a', 'b']],
    ],
    [],
  );
  assert.equal(textList.write(['a', 'b']), '["a", "b"]');
  assert.equal(textList.write(undefined), '(not set)');
});

test('denied output is discarded, or kept up to a size', () => {
  texts(
    deniedOutput,
    [
      ['discard', 'discard'],
      ['64KiB', 65_536],
    ],
    ['', 'keep', '1'],
  );
  tomls(
    deniedOutput,
    [
      [toml('discard'), 'discard'],
      [toml(4096n), 4096],
    ],
    [toml('keep'), toml(1n)],
  );
  assert.match(JSON.stringify(deniedOutput.fromToml(toml(1n))), /\\"discard\\" or a size/);
  assert.deepEqual([deniedOutput.write('discard'), deniedOutput.write(65_536)], ['"discard"', '"64KiB"']);
});
