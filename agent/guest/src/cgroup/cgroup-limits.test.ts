import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { limitableHugePages } from './cgroup-limits.js';

test('the sizes of huge pages are the kernel’s, if it has a hugetlb controller', () => {
  const directory = mkdtempSync(join(tmpdir(), 'huge-pages-'));
  try {
    const paths = { sys: join(directory, 'sys'), cgroup: join(directory, 'cgroup') };
    for (const size of ['2048kB', '1048576kB', '64kB'])
      mkdirSync(join(paths.sys, 'kernel/mm/hugepages', `hugepages-${size}`), { recursive: true });
    mkdirSync(paths.cgroup);
    const sizes = (): readonly string[] => limitableHugePages(paths).toSorted();
    assert.deepEqual(sizes(), [], 'no cgroups');
    mkdirSync(join(paths.cgroup, 'hugetlb'));
    assert.deepEqual(sizes(), ['1GB', '2MB', '64KB'], 'version 1');
    rmSync(join(paths.cgroup, 'hugetlb'), { recursive: true });
    writeFileSync(join(paths.cgroup, 'cgroup.controllers'), 'cpuset cpu memory pids\n');
    assert.deepEqual(sizes(), [], 'version 2 without the controller');
    writeFileSync(join(paths.cgroup, 'cgroup.controllers'), 'cpuset cpu memory hugetlb pids\n');
    assert.deepEqual(sizes(), ['1GB', '2MB', '64KB'], 'version 2');
    rmSync(paths.sys, { recursive: true });
    assert.deepEqual(sizes(), [], 'a kernel without huge pages');
  } finally {
    rmSync(directory, { recursive: true });
  }
});
