import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import * as fc from 'fast-check';
import { Semaphore } from './semaphore.js';

test('no more tasks run at once than there are slots; all run, those that are first before others, each in order, also after failures', async () => {
  const tasks = fc.array(
    fc.record({
      isFirst: fc.boolean(),
      turns: fc.nat(3),
      fails: fc.boolean(),
      /** Turns after which its signal aborts. */
      abortsAfter: fc.option(fc.nat(6), { nil: undefined }),
    }),
    { maxLength: 30 },
  );
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), tasks, async (atOnce, all) => {
      const semaphore = new Semaphore(atOnce);
      const begun = new Set<number>();
      const gone = new Set<number>();
      let running = 0;
      const controllers = all.map(() => new AbortController());
      const clock = (async () => {
        for (let now = 0; now < 8; now += 1) {
          await turn();
          for (const [index, { abortsAfter }] of all.entries())
            if (abortsAfter === now) {
              if (!begun.has(index)) gone.add(index);
              controllers[index]?.abort(new Error('aborted'));
            }
        }
      })();
      const waits = (index: number): boolean => !begun.has(index) && !gone.has(index);
      const results = await Promise.allSettled(
        all.map(({ isFirst, turns, fails }, index) =>
          semaphore.run(
            async () => {
              // Those that had a slot from the start took it in the order of their calls.
              if (index >= atOnce)
                for (const [other, { isFirst: precedes }] of all.entries())
                  if (other >= atOnce && waits(other) && other !== index)
                    assert.ok(precedes === isFirst ? other > index : isFirst, `${index} before ${other}`);
              begun.add(index);
              running += 1;
              assert.ok(running <= atOnce);
              for (let each = 0; each < turns; each += 1) await turn();
              running -= 1;
              if (fails) throw new Error('failed');
            },
            { isFirst, signal: controllers[index]?.signal },
          ),
        ),
      );
      await clock;
      for (const [index, result] of results.entries()) {
        const reason = result.status === 'rejected' ? (result.reason as Error).message : undefined;
        assert.equal(reason, gone.has(index) ? 'aborted' : all[index]?.fails === true ? 'failed' : undefined);
        assert.notEqual(begun.has(index), gone.has(index));
      }
      assert.deepEqual([semaphore.waiting, semaphore.isFull], [0, false]);
    }),
  );
});

test('a signal that has aborted takes no slot', async () => {
  const semaphore = new Semaphore(1);
  await assert.rejects(
    semaphore.run(async () => assert.fail('it ran'), { signal: AbortSignal.abort(new Error('aborted')) }),
    /aborted/,
  );
  assert.equal(await semaphore.run(async () => 'ran'), 'ran');
});
