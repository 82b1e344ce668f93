import assert from 'node:assert/strict';
import { posix } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isWithin, normalized } from './privilege.js';

const path = fc
  .array(fc.constantFrom('/', '//', '.', '..', '...', 'a', 'b.c', '.d', '\0'), { maxLength: 8 })
  .map((parts) => parts.join(''));

test('a path that is not normalized anew is normal', () => {
  fc.assert(fc.property(path, (text) => assert.equal(normalized(text), posix.normalize(text))));
  fc.assert(fc.property(fc.string(), (text) => assert.equal(normalized(text), posix.normalize(text))));
});

test('a path is within a directory by its components', () => {
  for (const inside of ['/a', '/a/b', '/a//b', '/b/../a', '/./a/']) assert.ok(isWithin(inside, '/a'), inside);
  for (const outside of ['/ab', '/a/..', '/a/../b', 'a', '']) assert.ok(!isWithin(outside, '/a'), outside);
});
