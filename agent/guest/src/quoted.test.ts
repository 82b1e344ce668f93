import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quotedName, quotedPath, quotedWord } from './quoted.js';

test('quoted text is escaped and truncated', () => {
  assert.equal(quotedWord('a"\n'), '"a\\"\\n"');
  const long = 'x'.repeat(1000);
  assert.deepEqual(
    [quotedWord, quotedName, quotedPath].map((quoted) => quoted(long).length - 2),
    [80, 150, 500],
  );
});
