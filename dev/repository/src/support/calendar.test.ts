import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { root } from '@kata-agent/setup/bootstrap';
import { calendar, type CalendarEntry, evaluateCalendar, reviewedOn } from './calendar.js';

const ends = '2027-04-30';
const entry = (use: CalendarEntry['use'], more: Partial<CalendarEntry> = {}): CalendarEntry => ({
  name: 'a part',
  use,
  ends,
  source: 'a page',
  ...more,
});
/** Returns the number of entries by state on a day. */
function counts(today: string, ...entries: readonly CalendarEntry[]): readonly number[] {
  const { failures, warnings, notes } = evaluateCalendar(entries, today);
  return [failures.length, warnings.length, notes.length];
}

describe('the calendar of dependencies', () => {
  it('warns from 180 days before the end of support', () => {
    for (const use of ['image', 'tested'] as const) {
      assert.deepEqual(counts('2026-10-31', entry(use)), [0, 0, 0], '181 days');
      assert.deepEqual(counts('2026-11-01', entry(use)), [0, 1, 0], '180 days');
      assert.deepEqual(counts(ends, entry(use)), [0, 1, 0], 'the last day');
    }
    const { warnings } = evaluateCalendar([entry('image')], '2027-04-29');
    assert.match(warnings[0] ?? '', /^a part: support ends on 2027-04-30, in 1 days \(a page\); help: /);
  });

  it('fails for parts of images, even with a reason', () => {
    assert.deepEqual(counts('2027-05-01', entry('image')), [1, 0, 0]);
    assert.deepEqual(counts('2027-05-01', entry('image', { reason: 'habit' })), [1, 0, 0]);
    const { failures } = evaluateCalendar([entry('image')], '2030-01-01');
    assert.match(failures[0] ?? '', /support ended on 2027-04-30 .*images contain it; help: /);
  });

  it('accepts a reason for test-only parts, and prints it', () => {
    assert.deepEqual(counts('2027-05-01', entry('tested')), [1, 0, 0]);
    const { failures, notes } = evaluateCalendar([entry('tested', { reason: 'old machines' })], '2027-05-01');
    assert.deepEqual([failures.length, notes.length], [0, 1]);
    assert.match(notes[0] ?? '', /kept because: old machines$/);
  });

  it('rejects an invalid day', () => {
    for (const day of ['2027-02', '2027-13-01', 'tomorrow'])
      assert.throws(() => counts(day, entry('image')), /is not a day\nhelp: write YYYY-MM-DD/);
  });

  it('has no failures on the day of its last review, and includes Node.js and Debian', () => {
    assert.deepEqual(evaluateCalendar(calendar, reviewedOn).failures, []);
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
    spawnSync(process.execPath, ['scripts/support.mjs', '--compiled', ...words], {
      cwd: root,
      encoding: 'utf8',
    });

  it('exits with 0 if nothing fails, and prints the calendar', () => {
    const { status, stdout, stderr } = run('--at', reviewedOn);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^2028-04-30 {2}image {3}Node\.js 24/m);
    assert.match(stderr, /^note: Node\.js 20 .*kept because: /m);
  });

  it('exits with 1 once an image has an unsupported part, and with 2 for an invalid day', () => {
    const { status, stderr } = run('--at', '2028-05-01');
    assert.equal(status, 1);
    assert.match(stderr, /^error: Node\.js 24 .*images contain it/m);
    assert.equal(run('--at', 'today').status, 2);
  });
});
