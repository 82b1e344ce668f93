import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { repository } from '../harness/repository.js';

type Figures = Readonly<Record<string, readonly number[]>>;

interface Row {
  readonly what: string;
  readonly ours: number;
  readonly against?: { readonly name: string; readonly value: number };
}

interface Part {
  readonly name: string;
  readonly group?: string;
}

const { scaleRows } = (await import(`${repository}bench/dist/scale-rows.js`)) as {
  readonly scaleRows: (measurement: string, figures: Figures) => readonly Row[];
};
const { chosenParts } = (await import(`${repository}bench/dist/part.js`)) as {
  readonly chosenParts: (parts: readonly Part[], only: string | undefined) => readonly Part[];
};

/** Figures that are all there, with the given ones. */
const figures = (given: Figures): Figures =>
  new Proxy(given, { get: (target, name: string) => target[name] ?? [1] });

describe('rows of the scale benchmark', () => {
  it('are the last group of lives beside the first one', () => {
    const rows = scaleRows('lives', figures({ 'first life': [10, 20, 30], 'last life': [22, 99, 1] }));
    const row = rows.find(({ what }) => what === 'all: last group');
    assert.deepEqual(row?.ours, 22);
    assert.deepEqual(row?.against, { name: 'first group', value: 20 });
  });

  it('are the last period of calls beside the first one, and the longest call of any', () => {
    const rows = scaleRows(
      'calls',
      figures({ 'calls p99': [2, 9, 3], 'calls longest': [5, 40, 6], log: [10, 15, 16] }),
    );
    const of = (what: string) => rows.find((row) => row.what === what);
    assert.deepEqual(of('last period: p99')?.against, { name: 'first period', value: 2 });
    assert.equal(of('last period: p99')?.ours, 3);
    assert.equal(of('longest of all calls')?.ours, 40);
    assert.equal(of('last period: size of the audit log')?.ours, 16);
  });

  for (const measurement of ['containers', 'streams', 'lives', 'calls']) {
    it(`of ${measurement} have a name each`, () => {
      const names = scaleRows(measurement, figures({})).map(({ what }) => what);
      assert.deepEqual(names, [...new Set(names)]);
    });

    it(`of ${measurement} are refused if a figure is missing`, () => {
      assert.throws(() => scaleRows(measurement, {}), /bench-scale printed no figure/);
    });
  }
});

describe('parts of a group', () => {
  const parts = [{ name: 'short' }, { name: 'long-a', group: 'long' }, { name: 'long-b', group: 'long' }];
  const names = (only?: string) => chosenParts(parts, only).map(({ name }) => name);

  it('run only if they, or their group, are named', () => {
    assert.deepEqual(names(), ['short']);
    assert.deepEqual(names('long'), ['long-a', 'long-b']);
    assert.deepEqual(names('long-b'), ['long-b']);
    assert.deepEqual(names('other'), []);
  });
});

for (const value of ['0', 'many', '1.5'])
  it(`the benchmark refuses --minutes ${value}`, () => {
    const args = [join(repository, 'bench/dist/main.js'), '--only', 'scale-calls', '--minutes', value];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.equal(status, 2);
    assert.match(stderr, /^--minutes: a whole number above 0$/m);
  });
