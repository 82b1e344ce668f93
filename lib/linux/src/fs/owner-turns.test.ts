import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { OwnerTurns } from './owner-turns.js';

const share = { total: 5, perOwner: 2 };

type Step = { readonly call: string } | { readonly returns: number };

/** Calls of four owners, and returns of one that runs then. */
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    fc.record({ call: fc.constantFrom('a', 'b', 'c', 'd') }),
    fc.record({ returns: fc.nat({ max: share.total - 1 }) }),
  ),
  { maxLength: 60 },
);

test('no owner has more than its share, none waits that may run, and each has its turn in order', () => {
  fc.assert(
    fc.property(steps, (taken) => {
      const turns = new OwnerTurns(() => share);
      const running: { readonly owner: string; readonly number: number; readonly returned: () => void }[] =
        [];
      const waiting: { readonly owner: string; readonly number: number }[] = [];
      const countOf = (owner: string): number => running.filter((each) => each.owner === owner).length;
      taken.forEach((step, number) => {
        if ('call' in step) {
          const { call: owner } = step;
          waiting.push({ owner, number });
          turns.take(owner, (returned) => {
            const first = waiting.findIndex((each) => each.owner === owner);
            assert.equal(waiting[first]?.number, number, 'those of one owner start in order');
            waiting.splice(first, 1);
            running.push({ owner, number, returned });
          });
        } else if (step.returns < running.length) running.splice(step.returns, 1)[0]?.returned();
        assert.equal(turns.running, running.length);
        assert.ok(running.length <= share.total);
        for (const { owner } of running) assert.ok(countOf(owner) <= share.perOwner);
        if (running.length < share.total)
          for (const { owner } of waiting) assert.equal(countOf(owner), share.perOwner);
      });
    }),
  );
});
