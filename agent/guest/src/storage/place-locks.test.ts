import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { PlaceLocks } from './place-locks.js';

const place = fc.constantFrom('a', 'a/b', 'a/c', 'a/b/d', 'ab', 'e');
/**
 * A storage that needs another takes its lock while it holds its own, as a watched directory does for the tmpfs above
 * it.
 */
const job = fc.record({ place, needs: fc.constantFrom(undefined, 'a', 'n'), turns: fc.nat(3) });

function touch(one: string, other: string): boolean {
  return one === other || one.startsWith(`${other}/`) || other.startsWith(`${one}/`);
}

test('overlapping paths are never held at the same time, and every request is granted', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(job, { maxLength: 10 }), async (jobs) => {
      const locks = new PlaceLocks();
      const at: string[] = [];
      const nestedAt: string[] = [];
      const work = async (turns: number): Promise<void> => {
        for (let turn = 0; turn < turns; turn += 1) await setImmediate();
      };
      await Promise.all(
        jobs.map((each) =>
          locks.during(each.place, async () => {
            assert.ok(!at.some((other) => touch(other, each.place)), `${each.place} beside ${at.join(', ')}`);
            at.push(each.place);
            await work(each.turns);
            const { needs } = each;
            if (needs !== undefined && needs !== each.place) {
              const nested = async (): Promise<void> => {
                assert.ok(!nestedAt.includes(needs));
                nestedAt.push(needs);
                await work(each.turns);
                nestedAt.splice(nestedAt.indexOf(needs), 1);
              };
              await locks.during(needs, nested, { nested: true });
            }
            at.splice(at.indexOf(each.place), 1);
          }),
        ),
      );
      assert.deepEqual([at, nestedAt], [[], []]);
    }),
    { numRuns: 300 },
  );
});

test('paths that do not overlap do not wait for each other, and a failure releases its lock', async () => {
  const locks = new PlaceLocks();
  let free = (): void => undefined;
  const held = locks.during(
    'a/b',
    () =>
      new Promise<void>((resolve) => {
        free = resolve;
      }),
  );
  await locks.during('a/c', async () => undefined);
  await assert.rejects(
    locks.during('c', () => Promise.reject(new Error('failed'))),
    /failed/,
  );
  await locks.during('c', async () => undefined);
  let entered = false;
  const waiting = locks.during('a', async () => {
    entered = true;
  });
  await setImmediate();
  assert.equal(entered, false);
  free();
  await Promise.all([held, waiting]);
  assert.equal(entered, true);
});
