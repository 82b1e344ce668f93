import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultLimits } from './budget.js';
import { decideAttribute, entryName } from './layer-entry.js';

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
