import assert from 'node:assert/strict';
import { test } from 'node:test';
import { paxTime, tarNumber } from './tar-fields.js';

test('numbers in octal and in base 256', () => {
  const number = (field: string | readonly number[]): number => tarNumber(Buffer.from(field), 'size');
  assert.equal(number('0000644\0'), 0o644);
  assert.equal(number('   644 \0'), 0o644);
  assert.equal(number('\0\0\0\0'), 0);
  assert.equal(number([0x80, 0, 0, 0, 0, 0, 1, 0]), 256);
  assert.equal(number([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]), -2);
  for (const bad of ['9\0', '12x4', '-1\0', '1 2\0', '0x10\0', '1\x002\0'])
    assert.throws(() => number(bad), { code: 'header' });
  assert.throws(() => number([0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), { code: 'header' });
});

test('times with a fraction, before 1970 too', () => {
  const time = (text: string): string => {
    const { seconds, nanoseconds } = paxTime(Buffer.from(text));
    return `${seconds} ${nanoseconds}`;
  };
  assert.equal(time('12'), '12 0');
  assert.equal(time('12.5'), '12 500000000');
  assert.equal(time('12.1234567899'), '12 123456789');
  assert.equal(time('-1.25'), '-2 750000000');
  assert.equal(time('-3'), '-3 0');
  assert.equal(time('-0'), '0 0');
  for (const bad of ['', '.5', '1e3', '1.5.5', '9'.repeat(13), ' 1'])
    assert.throws(() => time(bad), { code: 'header' });
});
