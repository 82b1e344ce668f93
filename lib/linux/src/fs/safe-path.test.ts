import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pathComponents, UnsafePathError } from '../index.js';

test('a relative path is split into its components', () => {
  assert.deepEqual(pathComponents('a'), ['a']);
  assert.deepEqual(pathComponents('./a//b/.c/..d/e/'), ['a', 'b', '.c', '..d', 'e']);
});

test('an absolute path, one with “..” and an empty one are rejected, with the path in the message', () => {
  for (const path of ['', '.', './', '/', '/a', '..', 'a/..', 'a/../b', '../a', 'a\0b', '\0']) {
    assert.throws(
      () => pathComponents(path),
      (error) =>
        error instanceof UnsafePathError &&
        error.path === path &&
        error.message.includes(JSON.stringify(path)),
    );
  }
});
