import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replyMessage } from './translate-failures.js';

test('a message is returned unchanged, unless it is long or has control characters', () => {
  assert.equal(replyMessage('ESRCH: No such process'), 'ESRCH: No such process');
  assert.equal(replyMessage('one\ntwo é 盘'), 'one\ntwo é 盘');
  assert.equal(replyMessage('a\u0000b\u001b[1m\u009b'), 'a\\u0000b\\u001b[1m\\u009b');
  assert.equal(replyMessage('x'.repeat(4_000_000)).length, 1_501);
});
