import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { attachDeviceFilter, deviceFilter, loadSyscalls, mount, unmountTree } from '../index.js';

const skip = process.getuid?.() === 0 || process.env.CI === 'true' ? false : 'cgroups need root';
const syscalls = loadSyscalls();

test('filters of a cgroup deny nodes of block devices and closed devices, and all must allow', {
  skip,
}, (context) => {
  const place = realpathSync(mkdtempSync(join(tmpdir(), 'filter-')));
  const cgroups = join(place, 'cgroups');
  mkdirSync(cgroups);
  mount(syscalls, { source: 'cgroup2', target: cgroups, type: 'cgroup2', options: ['private'] });
  const cgroup = join(cgroups, basename(place));
  mkdirSync(cgroup);
  context.after(() => {
    rmdirSync(cgroup);
    unmountTree(syscalls, place);
    rmSync(place, { recursive: true });
  });
  /** The output of a script in the cgroup, with standard error. */
  const inside = (script: string): string => {
    const line = `echo $$ > "$0/cgroup.procs" && cd "$1" && exec 2>&1 && ${script}`;
    return spawnSync('sh', ['-c', line, cgroup, place], { encoding: 'utf8' }).stdout;
  };
  // The numbers of /dev/zero, /dev/full and a block device.
  const script =
    'for node in "z c 1 5" "f c 1 7" "b b 7 99"; do mknod $node; done; for node in z f; do head -c 1 $node | od -An -tx1; done; rm -f z f b';
  assert.equal(inside(script), ' 00\n 00\n', 'without a filter');
  attachDeviceFilter(syscalls, cgroup, deviceFilter([{ major: 1, minor: 5 }]));
  const one = inside(script);
  assert.match(one, /^mknod: b: Operation not permitted\nhead: .*'z'.*: Operation not permitted\n 00\n$/);
  attachDeviceFilter(syscalls, cgroup, deviceFilter([{ major: 1, minor: 7 }]));
  const two = inside(script);
  assert.match(
    two,
    /^mknod: b: .*\nhead: .*'z'.*: Operation not permitted\nhead: .*'f'.*: Operation not permitted\n$/,
  );
});
