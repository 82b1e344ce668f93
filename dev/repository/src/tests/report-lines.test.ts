import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestReport } from './reporter.js';
import { failedLines, failedReleaseLines, skippedLines, timeLines, unstableLines } from './report-lines.js';

describe('the last lines of a test run', () => {
  const passed: TestReport = { counts: {}, failures: [], skipped: [], times: [] };
  const report: TestReport = {
    counts: {},
    failures: [
      { file: 'a.test.js', name: 'suite › x', message: 'bad' },
      { file: 'b.test.js', name: 'y', message: 'worse' },
    ],
    skipped: [{ file: 'c.test.js', name: 'z', reason: 'needs runc' }],
    times: [
      { file: 'b.test.js', tests: 12, ms: 7_512 },
      { file: 'a.test.js', tests: 1, ms: 2_500 },
    ],
  };

  it('name each failed and each skipped test', () => {
    assert.deepEqual(failedLines(report), [
      'failed: 2',
      '  a.test.js: suite › x: bad',
      '  b.test.js: y: worse',
    ]);
    assert.deepEqual(skippedLines(report), ['skipped: 1', '  c.test.js: z: needs runc']);
    assert.deepEqual(unstableLines(report)[0], 'unstable: failed among others, passed alone: 2');
    assert.deepEqual([...failedLines(passed), ...skippedLines(passed)], []);
  });

  it('name the time of each file', () => {
    assert.deepEqual(timeLines(report), [
      '     7.5 s   75 %  b.test.js (12)',
      '     2.5 s  100 %  a.test.js (1)',
    ]);
    assert.deepEqual(timeLines(passed), []);
  });

  it('name the release of each failed test, or why no test is named', () => {
    assert.deepEqual(
      failedReleaseLines([
        { release: '22', report },
        { release: '24', report: undefined },
        { release: '26', report: passed },
      ]),
      [
        'failed with Node.js 22: a.test.js: suite › x: bad',
        'failed with Node.js 22: b.test.js: y: worse',
        'failed with Node.js 24: no test report: the run did not finish, see the output above',
        'failed with Node.js 26: no test failed, but the exit code is not 0: see the output above',
      ],
    );
  });
});
