import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatMountOptions, isMountOptionWord, MountFlag, parseMountOptions } from '../index.js';

const flagWords = [
  'ro rw nosuid suid nodev dev noexec exec sync async remount mand nomand dirsync nosymfollow symfollow noatime atime',
  'nodiratime diratime bind rbind silent loud acl noacl relatime norelatime iversion noiversion strictatime',
  'nostrictatime lazytime nolazytime defaults',
]
  .join(' ')
  .split(' ');
const propagationWords = 'private rprivate shared rshared slave rslave unbindable runbindable'.split(' ');

test('parses options to flags, propagation and data', () => {
  assert.deepEqual(
    parseMountOptions(['rbind', 'ro', 'nosuid', 'rprivate', 'size=64m', '', 'X-kata.test=1']),
    {
      flags: MountFlag.Bind | MountFlag.Recursive | MountFlag.ReadOnly | MountFlag.NoSuid,
      propagation: [MountFlag.Private | MountFlag.Recursive],
      data: ['size=64m', 'X-kata.test=1'],
    },
  );
});

test('the last of conflicting options wins', () => {
  assert.equal(parseMountOptions(['ro', 'rw']).flags, 0);
  assert.equal(parseMountOptions(['rw', 'ro']).flags, MountFlag.ReadOnly);
});

test('every option of the tables is known; any other is data', () => {
  for (const word of [...flagWords, ...propagationWords]) {
    assert.equal(isMountOptionWord(word), true, word);
    assert.deepEqual(parseMountOptions([word]).data, [], word);
  }
  for (const word of ['size=1', 'RO', 'ro ', 'constructor', '__proto__']) {
    assert.equal(isMountOptionWord(word), false, word);
    assert.deepEqual(parseMountOptions([word]), { flags: 0, propagation: [], data: [word] });
  }
});

test('unknown bits are rejected and named', () => {
  assert.throws(() => formatMountOptions({ flags: 1 << 30, propagation: [], data: [] }), /0x40000000/);
  assert.throws(() => formatMountOptions({ flags: 0, propagation: [1], data: [] }), /propagation 0x1/);
});

test('formatted options parse to the same value', () => {
  const word = fc.oneof(
    fc.constantFrom(...flagWords, ...propagationWords),
    fc.stringMatching(/^[a-z]{1,4}=[a-z0-9]{1,4}$/),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 12 }), (words) => {
      const options = parseMountOptions(words);
      assert.deepEqual(parseMountOptions(formatMountOptions(options)), options);
    }),
  );
});
