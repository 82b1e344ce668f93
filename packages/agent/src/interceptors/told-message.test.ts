import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toldMessage } from './told-message.js';

test('a message is told as it is, unless it is long or has control characters', () => {
  assert.equal(toldMessage('ESRCH: No such process'), 'ESRCH: No such process');
  assert.equal(toldMessage('one\ntwo é 盘'), 'one\ntwo é 盘');
  assert.equal(toldMessage('a\u0000b\u001b[1m\u009b'), 'a\\u0000b\\u001b[1m\\u009b');
  assert.equal(toldMessage('x'.repeat(4_000_000)).length, 1_501);
});
