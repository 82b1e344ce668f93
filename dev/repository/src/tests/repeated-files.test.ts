import assert from 'node:assert/strict';
import { it } from 'node:test';
import { repeatedFiles } from './repeated-files.js';
import type { TestReport } from './reporter.js';

const files = [
  'packages/a/dist/x/y.test.js',
  'packages/b/dist/x/y.test.js',
  'tests/dist/functional/z.test.js',
];
const more = ['fuzz/dist/m.test.js', 'fuzz/dist/n.test.js'];

function report(...failed: readonly string[]): TestReport {
  return {
    counts: {},
    skipped: [],
    times: [],
    failures: failed.map((file) => ({ file, name: '', message: '' })),
  };
}

it('a failed file is repeated, once, whether its source or what was compiled from it is named', () => {
  assert.deepEqual(
    repeatedFiles(
      report('packages/b/src/x/y.test.ts', 'packages/b/src/x/y.test.ts', 'tests/functional/z.test.ts'),
      files,
    ),
    [files[1], files[2]],
  );
  assert.deepEqual(repeatedFiles(report('tests/dist/functional/z.test.js'), files), [files[2]]);
});

it('a run counts if more than three files fail, or a failure is of no known file', () => {
  assert.equal(repeatedFiles(report(...files, ...more), [...files, ...more]), undefined);
  assert.equal(repeatedFiles(report('tests/functional/z.test.ts', 'tests/harness/h.ts'), files), undefined);
  assert.equal(repeatedFiles(report(), files), undefined, 'the run did not fail by a test');
});
