import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { KernelFiles } from './kernel-files.js';

const skip = process.getuid?.() !== 0 && process.env['CI'] !== 'true' ? 'needs root' : false;

test('a cgroup that was removed has no files, and one that is there again is read', { skip }, () => {
  const isUnified = existsSync('/sys/fs/cgroup/cgroup.controllers');
  const directory = join('/sys/fs/cgroup', isUnified ? '' : 'memory', `kata-kernel-files-${process.pid}`);
  mkdirSync(directory);
  const files = new KernelFiles();
  try {
    assert.equal(files.read(directory, 'cgroup.procs'), '');
    rmdirSync(directory);
    assert.equal(files.read(directory, 'cgroup.procs'), undefined, 'the kept descriptor has ENODEV');
    assert.equal(files.open, 0);
    mkdirSync(directory);
    assert.equal(files.read(directory, 'cgroup.procs'), '');
    assert.equal(files.open, 1);
  } finally {
    files.close();
    rmdirSync(directory);
  }
});
