import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { repository } from '../harness/repository.js';

type Goal = { readonly min: number } | { readonly max: number };

interface Bound {
  readonly part: string;
  readonly what: string;
  readonly measured: number;
  readonly bound: Goal;
}

interface Row {
  readonly what: string;
  readonly unit: string;
  readonly ours: number;
  readonly against?: { readonly name: string; readonly value: number };
}

interface BoundResult extends Bound {
  readonly ratio: number;
  readonly attempts: number;
  readonly met: boolean;
}

const { checkBounds, missedBounds } = (await import(`${repository}bench/dist/budget.js`)) as {
  readonly checkBounds: (
    bounds: readonly Bound[],
    measure: (part: string) => Promise<readonly Row[]>,
    attempts: number,
  ) => Promise<readonly BoundResult[]>;
  readonly missedBounds: (results: readonly BoundResult[]) => string | undefined;
};
const { budget } = (await import(`${repository}bench/dist/budget-table.js`)) as {
  readonly budget: readonly Bound[];
};

const slow: Bound = { part: 'one', what: 'create', measured: 1.5, bound: { max: 2 } };
const fast: Bound = { part: 'one', what: 'calls', measured: 1, bound: { min: 0.5 } };
const other: Bound = { part: 'two', what: 'start', measured: 3, bound: { max: 5 } };

const row = (what: string, ratio: number): Row => ({
  what,
  unit: 'ms',
  ours: ratio * 10,
  against: { name: 'plain', value: 10 },
});

/** Checks bounds; each attempt of part `one` has the next ratios of its two rows. Also returns which parts were measured. */
async function check(attempts: readonly (readonly [create: number, calls: number])[]) {
  const measured: string[] = [];
  const left = [...attempts];
  const results = await checkBounds(
    [slow, other, fast],
    async (part) => {
      measured.push(part);
      if (part === 'two') return [row('start', 4)];
      const [create = Number.NaN, calls = Number.NaN] = left.shift() ?? [];
      return [row('create', create), row('calls', calls)];
    },
    3,
  );
  const of = (what: string) => results.find((result) => result.what === what);
  return { results, measured, of };
}

describe('bounds of the benchmark', () => {
  it('that are met at once are measured once', async () => {
    const { results, measured } = await check([[2, 0.5]]);
    assert.deepEqual(measured, ['one', 'two']);
    assert.ok(results.every(({ met, attempts }) => met && attempts === 1));
    assert.equal(missedBounds(results), undefined);
  });

  it('that are missed are measured again, and each must be met once', async () => {
    const { results, measured, of } = await check([
      [2.1, 0.9],
      [1.9, 0.1],
    ]);
    assert.deepEqual(measured, ['one', 'one', 'two']);
    assert.deepEqual([of('create')?.ratio, of('create')?.attempts], [1.9, 2]);
    assert.deepEqual([of('calls')?.ratio, of('calls')?.attempts], [0.9, 1]);
    assert.equal(missedBounds(results), undefined);
  });

  it('that are missed three times fail with the row, its best ratio, its bound and what to do', async () => {
    const { results, measured } = await check([
      [3, 0.3],
      [2.5, 0.4],
      [2.75, 0.2],
    ]);
    assert.deepEqual(measured, ['one', 'one', 'one', 'two']);
    assert.equal(
      missedBounds(results),
      [
        'one: create: 2.50×, bound ≤ 2×, best of 3',
        'one: calls: 0.40×, bound ≥ 0.5×, best of 3',
        'help: on a quiet machine compare with the commit before: npm run bench -- --against COMMIT --only one',
      ].join('\n'),
    );
  });

  for (const [why, rows] of [
    ['is not there', [row('create, renamed', 1)]],
    ['is compared with nothing', [{ what: 'create', unit: 'ms', ours: 1 }, row('create, renamed', 1)]],
  ] as const)
    it(`whose row ${why} are an error with the rows of the part`, async () => {
      await assert.rejects(
        checkBounds([slow], async () => rows, 3),
        /one has no row `create` with a ratio\nhelp: name one of: create, renamed$/,
      );
    });

  it('are missed at what is not a number', async () => {
    const { of } = await check([[Number.NaN, 1]]);
    assert.equal(of('create')?.met, false);
  });

  it('of the project are wider than what was measured', () => {
    assert.ok(budget.length > 0);
    for (const { what, measured, bound } of budget) {
      if ('min' in bound) assert.ok(bound.min < measured, what);
      else assert.ok(bound.max > measured, what);
    }
  });
});
