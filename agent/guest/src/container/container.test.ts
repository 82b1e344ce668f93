import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { hasShare } from './container.js';

/** Lets callers take all that they can, one after the other. Returns how many each has. */
function greedy(limit: number, callers: number): readonly number[] {
  let taken = 0;
  return Array.from({ length: callers }, () => {
    let own = 0;
    for (; hasShare({ limit, taken, own }); taken += 1) own += 1;
    return own;
  });
}

test('callers that take all they can leave places to the next ones, and to the runtime', () => {
  assert.deepEqual(greedy(32, 6), [14, 7, 4, 2, 1, 0]);
  assert.deepEqual(greedy(1, 2), [1, 0]);
  assert.deepEqual(greedy(0, 1), [0]);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4096 }), fc.integer({ min: 1, max: 40 }), (limit, callers) => {
      const all = greedy(limit, callers).reduce((sum, each) => sum + each, 0);
      assert.ok(limit - all >= Math.floor(limit / 8));
      // One alone has no less than a third.
      assert.ok((greedy(limit, 1)[0] ?? 0) * 3 >= limit);
    }),
  );
});
