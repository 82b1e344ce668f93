import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { repository } from '../harness/repository.js';

interface Entry {
  readonly name: string;
  readonly use: string;
  readonly ends: string;
  readonly source: string;
  readonly reason?: string;
}

interface Judgement {
  readonly failures: readonly string[];
  readonly warnings: readonly string[];
  readonly notes: readonly string[];
}

/** What the script exports; it is JavaScript. */
const { calendar, judgeCalendar, lookedAt } = (await import(`${repository}scripts/support-calendar.mjs`)) as {
  readonly calendar: readonly Entry[];
  readonly judgeCalendar: (entries: readonly Entry[], today: string) => Judgement;
  readonly lookedAt: string;
};

const ends = '2027-04-30';
const entry = (use: string, more: Partial<Entry> = {}): Entry => ({
  name: 'It',
  use,
  ends,
  source: 'a page',
  ...more,
});
/** How many of each kind a calendar of one line has on a day. */
function counts(today: string, ...entries: readonly Entry[]): readonly number[] {
  const { failures, warnings, notes } = judgeCalendar(entries, today);
  return [failures.length, warnings.length, notes.length];
}

describe('the calendar of dependencies', () => {
  it('warns of an end from 180 days before it to the day itself', () => {
    for (const use of ['image', 'tested']) {
      assert.deepEqual(counts('2026-10-31', entry(use)), [0, 0, 0], '181 days');
      assert.deepEqual(counts('2026-11-01', entry(use)), [0, 1, 0], '180 days');
      assert.deepEqual(counts(ends, entry(use)), [0, 1, 0], 'the last day');
    }
    const { warnings } = judgeCalendar([entry('image')], '2027-04-29');
    assert.match(warnings[0] ?? '', /^It: support ends on 2027-04-30, in 1 days \(a page\); help: /);
  });

  it('fails by what images have, a reason or none', () => {
    assert.deepEqual(counts('2027-05-01', entry('image')), [1, 0, 0]);
    assert.deepEqual(counts('2027-05-01', entry('image', { reason: 'habit' })), [1, 0, 0]);
    const { failures } = judgeCalendar([entry('image')], '2030-01-01');
    assert.match(failures[0] ?? '', /support ended on 2027-04-30 .*images have it; help: /);
  });

  it('lets what is only tested stay for a reason, which it tells', () => {
    assert.deepEqual(counts('2027-05-01', entry('tested')), [1, 0, 0]);
    const { failures, notes } = judgeCalendar([entry('tested', { reason: 'old machines' })], '2027-05-01');
    assert.deepEqual([failures.length, notes.length], [0, 1]);
    assert.match(notes[0] ?? '', /it stays: old machines$/);
  });

  it('takes no day that is none', () => {
    for (const day of ['2027-02', '2027-13-01', 'tomorrow'])
      assert.throws(() => counts(day, entry('image')), /is no day: write YYYY-MM-DD/);
  });

  it('has nothing that failed on the day when its dates were compared, and Node.js and Debian', () => {
    assert.deepEqual(judgeCalendar(calendar, lookedAt).failures, []);
    for (const name of ['Node.js 20', 'Node.js 22', 'Node.js 24', 'Debian 12', 'Debian 13'])
      assert.ok(
        calendar.some((line) => line.name.startsWith(name)),
        name,
      );
    assert.equal(calendar.find(({ name }) => name.startsWith('Node.js 24'))?.use, 'image');
  });
});

describe('npm run support', () => {
  const run = (...words: readonly string[]) =>
    spawnSync(process.execPath, ['scripts/support.mjs', ...words], { cwd: repository, encoding: 'utf8' });

  it('ends with 0 where nothing fails, and prints the calendar', () => {
    const { status, stdout, stderr } = run('--at', lookedAt);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^2028-04-30 {2}image {3}Node\.js 24/m);
    assert.match(stderr, /^note: Node\.js 20 .*it stays: /m);
  });

  it('ends with 1 once an image has what has ended, and with 2 for a day that is none', () => {
    const { status, stderr } = run('--at', '2028-05-01');
    assert.equal(status, 1);
    assert.match(stderr, /^error: Node\.js 24 .*images have it/m);
    assert.equal(run('--at', 'today').status, 2);
  });
});
