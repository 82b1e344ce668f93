import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sharedProcess, withSharedProcesses } from './shared-processes.js';

const file = 'lib/config/dist/x.test.js';

test('test files of a pure package share a process', () => {
  assert.equal(sharedProcess(file, "after(() => rmSync(directory));\nprocess.env['PATH']"), 'lib/config');
});

for (const [what, path, text] of [
  ['needs root', 'lib/config/dist/x.root.test.js', ''],
  ['is of another package', 'agent/guest/dist/x.test.js', ''],
  ['has a hook for all tests', file, 'afterEach(() => {});'],
  ['changes the environment', file, "  process.env['HOME'] = directory;"],
  ['changes the working directory', file, 'process.chdir(directory);'],
  ['replaces the clock', file, 'mock.timers.enable();'],
] as const)
  test(`a test file has a process of its own that ${what}`, () => {
    assert.equal(sharedProcess(path, text), undefined);
  });

test('an entry imports the files that share a process; a single one is run as it is', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-entries-'));
  try {
    const [one, other] = ['lib/base/dist/backoff.test.js', 'lib/base/dist/semaphore.test.js'];
    assert.deepEqual(withSharedProcesses([one], directory), [one]);
    assert.deepEqual(readdirSync(directory), []);
    const [entry = '', ...more] = withSharedProcesses([one, other], directory);
    assert.deepEqual(more, []);
    const imported = readFileSync(entry, 'utf8').trim().split('\n');
    assert.equal(imported.length, 2);
    assert.equal(
      withSharedProcesses(
        Array.from({ length: 30 }, () => one),
        directory,
      ).length,
      2,
    );
    assert.match(imported[0] ?? '', /^import "file:.*\/lib\/base\/dist\/backoff\.test\.js";$/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
