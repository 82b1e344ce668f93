import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideAttribute, entryName } from './layer-entry.js';
import { defaultLimits } from './budget.js';
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

test('names are cleaned', () => {
  const name = (text: string): string => entryName(Buffer.from(text), defaultLimits).join('/');
  assert.equal(name('./a//b/./c/'), 'a/b/c');
  assert.equal(name('/etc/passwd'), 'etc/passwd');
  assert.equal(name('./'), '');
  assert.equal(name('...'), '...');
  assert.equal(name('a..b'), 'a..b');
});

test('attributes are kept, dropped or refused', () => {
  const decide = (name: string, value: Buffer = Buffer.alloc(0), isFile = true): string =>
    decideAttribute(name, value, { name: Buffer.from('f'), isFile, isDirectory: false });
  const capability = (size: number, revision: number): Buffer => {
    const value = Buffer.alloc(size);
    value.writeUInt32LE(revision);
    return value;
  };
  assert.equal(decide('security.capability', capability(20, 0x02000001)), 'keep');
  assert.equal(decide('security.capability', capability(24, 0x03000001)), 'keep');
  assert.throws(() => decide('security.capability', capability(20, 0x03000001)), { code: 'attribute' });
  assert.throws(() => decide('security.capability', capability(12, 0x01000001)), { code: 'attribute' });
  assert.equal(decide('user.x'), 'keep');
  assert.equal(decide('user.x', Buffer.alloc(0), false), 'drop');
  for (const name of ['user.', 'security.selinux', 'trusted.x', 'system.posix_acl_access', 'x'])
    assert.equal(decide(name), 'drop');
});
