import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import * as fc from 'fast-check';
import { Semaphore } from './semaphore.js';

test('no more tasks run at once than there are places, all run, in order, also after failures', async () => {
  const tasks = fc.array(fc.record({ turns: fc.nat(3), fails: fc.boolean() }), { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), tasks, async (atOnce, all) => {
      const semaphore = new Semaphore(atOnce);
      const begun: number[] = [];
      let running = 0;
      const results = await Promise.allSettled(
        all.map(({ turns, fails }, index) =>
          semaphore.run(async () => {
            begun.push(index);
            running += 1;
            assert.ok(running <= atOnce);
            for (let each = 0; each < turns; each += 1) await turn();
            running -= 1;
            if (fails) throw new Error('failed');
          }),
        ),
      );
      assert.deepEqual(
        results.map(({ status }) => status === 'rejected'),
        all.map(({ fails }) => fails),
      );
      assert.deepEqual(
        begun,
        all.map((_, index) => index),
      );
    }),
  );
});
