import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { errnoName, errnoNumber, errnoText, hasCode, SyscallError } from '../index.js';

test('numbers have names, one each, and names have numbers', () => {
  for (const [name, number] of [
    ['ENOENT', 2],
    ['EAGAIN', 11],
    ['ENOTSUP', 95],
    ['EDEADLK', 35],
  ] as const) {
    assert.equal(errnoName(number), name);
    assert.equal(errnoNumber(name), number);
  }
  assert.equal(errnoName(3000), 'ERRNO_3000');
  assert.equal(errnoNumber('ENOSUCHNAME'), undefined);
  assert.equal(errnoNumber('constructor'), undefined);
});

test('a text has the name in it, and is the name when there is no text', () => {
  assert.equal(errnoText(2), 'ENOENT: no such file or directory');
  assert.equal(errnoText(10), 'ECHILD');
  assert.equal(errnoText(3000), 'ERRNO_3000');
});

test('an error names the call, its object and the reason', () => {
  const error = new SyscallError('mount', 13, '/run/a b');
  assert.equal(error.message, 'mount "/run/a b": EACCES: permission denied');
  assert.deepEqual(
    { code: error.code, errno: error.errno, syscall: error.syscall, path: error.path, name: error.name },
    { code: 'EACCES', errno: 13, syscall: 'mount', path: '/run/a b', name: 'SyscallError' },
  );
  assert.equal(new SyscallError('sync', 5).message, 'sync: EIO: i/o error');
  assert.equal('path' in new SyscallError('sync', 5), false);
  assert.equal(SyscallError.named('close', 'EBADF').errno, 9);
  assert.throws(() => SyscallError.named('close', 'EWHAT'), /no errno is called EWHAT/);
});

test('codes are found in our errors and in Node’s', () => {
  assert.equal(hasCode(new SyscallError('open', 2), 'EEXIST', 'ENOENT'), true);
  assert.equal(hasCode(new SyscallError('open', 2), 'EEXIST'), false);
  assert.throws(
    () => readFileSync('/nonexistent'),
    (error) => hasCode(error, 'ENOENT'),
  );
  assert.equal(hasCode({ code: 'ENOENT' }, 'ENOENT'), false);
  assert.equal(hasCode(new Error('ENOENT'), 'ENOENT'), false);
  assert.equal(hasCode(undefined, 'ENOENT'), false);
});
