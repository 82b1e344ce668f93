import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { repository } from '../harness/repository.js';

interface Figure {
  readonly part: string;
  readonly what: string;
  readonly unit: string;
  readonly value: number;
}

interface Comparison extends Omit<Figure, 'value'> {
  readonly ours: number;
  readonly theirs: number | undefined;
  readonly spread: number;
}

const path = join(repository, 'bench/dist/against.js');
const { commitOf, compared, renderComparisons } = (await import(path)) as {
  readonly commitOf: (ref: string) => string;
  readonly compared: (ours: readonly Figure[], theirs: readonly Figure[]) => readonly Comparison[];
  readonly renderComparisons: (ref: string, rows: readonly Comparison[]) => string;
};

const figure = (what: string, value: number): Figure => ({ part: 'calls', what, unit: 'ms', value });

describe('npm run bench -- --against', () => {
  it('compares medians, with the spread of this checkout', () => {
    const ours = [figure('a', 10), figure('a', 12), figure('a', 11), figure('new', 5)];
    const theirs = [figure('a', 20), figure('a', 24), figure('a', 22), figure('gone', 1)];
    const rows = compared(ours, theirs);
    assert.deepEqual(
      rows.map(({ what, ours: own, theirs: other }) => [what, own, other]),
      [
        ['a', 11, 22],
        ['new', 5, undefined],
      ],
    );
    assert.equal(rows[0]?.spread, 2 / 11);
    const table = renderComparisons('main', rows);
    assert.match(table, /^calls: a +11\.0 +22\.0 +ms +0\.50× +18 %$/m);
    assert.match(table, /^calls: new +5\.00 +has none +ms +0 %$/m);
  });

  it('knows commits of this repository only', () => {
    assert.match(commitOf('HEAD'), /^[0-9a-f]{40}$/);
    assert.throws(
      () => commitOf('no-such-branch'),
      /--against no-such-branch: this repository has no such commit/,
    );
    const words = [`${repository}bench/dist/main.js`, '--against', '--upload-pack=x'];
    const { status } = spawnSync(process.execPath, words, { encoding: 'utf8' });
    assert.notEqual(status, 0);
  });
});
