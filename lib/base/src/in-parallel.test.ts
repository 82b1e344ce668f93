import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import * as fc from 'fast-check';
import { inParallel } from './in-parallel.js';

test('each item is worked on once, in order, a limited number at once; after a failure none begins', async () => {
  const items = fc.array(fc.record({ turns: fc.nat(3), fails: fc.boolean() }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), items, async (atOnce, all) => {
      const begun: number[] = [];
      const failed: number[] = [];
      let running = 0;
      const done = inParallel(all.entries(), atOnce, async ([index, { turns, fails }]) => {
        assert.equal(failed.length, 0);
        begun.push(index);
        running += 1;
        assert.ok(running <= atOnce);
        for (let each = 0; each < turns; each += 1) await turn();
        running -= 1;
        if (!fails) return;
        failed.push(index);
        throw new Error(`${index}`);
      });
      const error: string | undefined = await done.then(
        () => undefined,
        (reason: Error) => reason.message,
      );
      assert.equal(running, 0);
      assert.equal(error, failed[0]?.toString());
      assert.deepEqual(
        begun,
        Array.from({ length: error === undefined ? all.length : begun.length }, (_, index) => index),
      );
    }),
  );
});
