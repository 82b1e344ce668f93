import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sourceTime } from './plan.js';

test('the time of the source is SOURCE_DATE_EPOCH, else that of the commit, never that of the build', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-source-'));
  t.after(() => rmSync(directory, { recursive: true }));
  assert.equal(sourceTime({}, directory), undefined, 'without git');
  const git = (...words: readonly string[]): void => {
    const env = {
      ...process.env,
      GIT_COMMITTER_DATE: '1790000000 +0200',
      GIT_AUTHOR_DATE: '1700000000 +0000',
    };
    const identity = ['-c', 'user.name=test', '-c', 'user.email=test@example'];
    const { status, stderr } = spawnSync('git', ['-C', directory, ...identity, ...words], {
      encoding: 'utf8',
      env,
    });
    assert.equal(status, 0, stderr);
  };
  git('init', '--quiet');
  assert.equal(sourceTime({}, directory), undefined, 'without a commit');
  git('commit', '--quiet', '--allow-empty', '--message', 'one');
  assert.equal(sourceTime({}, directory), 1_790_000_000);
  assert.equal(sourceTime({ SOURCE_DATE_EPOCH: '' }, directory), 1_790_000_000);
  assert.equal(sourceTime({ SOURCE_DATE_EPOCH: '1780000000' }, directory), 1_780_000_000);
  for (const wrong of ['x', '-1', '1.5', '9999999999'])
    assert.throws(() => sourceTime({ SOURCE_DATE_EPOCH: wrong }, directory), /in the past.*\nhelp: unset it/);
});
