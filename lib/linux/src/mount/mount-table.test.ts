import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  mounts,
  mountsBelow,
  parseMountTable,
  RecordingSyscalls,
  SyscallError,
  unmountTree,
} from '../index.js';

const root = '21 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw';

test('parses the fields of a line', () => {
  const [mount] = parseMountTable(
    '36 35 98:0 /part\\040one /mnt/a\\011b\\134c\\303\\244 ro,nosuid shared:7 master:2 - fuse.x-y so\\043urce rw,a=\\054\n',
  );
  assert.deepEqual(mount, {
    id: 36,
    parent: 35,
    device: '98:0',
    root: '/part one',
    target: '/mnt/a\tb\\cä',
    options: ['ro', 'nosuid'],
    propagation: ['shared:7', 'master:2'],
    type: 'fuse.x-y',
    source: 'so#urce',
    superOptions: ['rw', 'a=,'],
  });
});

test('a mount point named like the separator is parsed', () => {
  const [mount] = parseMountTable('36 35 98:0 / - ro - tmpfs - rw');
  assert.equal(mount?.target, '-');
  assert.equal(mount?.source, '-');
  assert.deepEqual(mount?.propagation, []);
});

test('a malformed line is an error with its number', () => {
  assert.throws(() => parseMountTable(`${root}\n36 35 98:0 / /mnt ro`), /line 2 .*"36 35 98:0/);
});

test('the real table contains the root mount', () => {
  assert.ok(mounts().some(({ target }) => target === '/'));
});

test('mountsBelow lists innermost mounts first, in any order of the table', () => {
  const table = parseMountTable(
    [
      '30 29 0:2 / /run/k/a rw - tmpfs a rw',
      '31 30 0:3 / /run/k/a/b rw - tmpfs b rw',
      root,
      '29 21 0:1 / /run/k rw - tmpfs k rw',
      '32 30 0:4 / /run/k/a rw - tmpfs stacked rw',
      '33 21 0:5 / /run/kk rw - tmpfs neighbour rw',
    ].join('\n'),
  );
  const sources = mountsBelow('/run/k', table).map(({ source }) => source);
  assert.equal(sources.length, 4);
  assert.deepEqual(new Set(sources.slice(0, 2)), new Set(['b', 'stacked']));
  assert.deepEqual(sources.slice(2), ['a', 'k']);
});

test('unmounting continues until no mount is left', (context) => {
  const copied = copiedTable(context, [
    '30 21 0:2 / /run/k rw - tmpfs a rw',
    '31 30 0:3 / /run/k/b rw - tmpfs b rw',
  ]);
  const fake = new RecordingSyscalls();
  const left = ['/run/k/b', '/run/k'];
  fake.script('umount2', (target) => {
    assert.equal(target, left.shift());
    if (left.length === 0) copied.write([]);
  });
  unmountTree(fake, '/run/k', copied.proc);
  unmountTree(fake, '/run/k', copied.proc);
  assert.equal(fake.argumentsOf('umount2').length, 2);
});

test('a mount that cannot be unmounted is an error, not an endless loop', (context) => {
  const copied = copiedTable(context, ['30 21 0:2 / /run/k rw - tmpfs a rw']);
  const fake = new RecordingSyscalls();
  assert.throws(() => unmountTree(fake, '/run/k', copied.proc), { code: 'EBUSY' });
  fake.fail('umount2', 'EPERM');
  assert.throws(
    () => unmountTree(fake, '/run/k', copied.proc),
    (error) => error instanceof SyscallError && error.code === 'EPERM',
  );
});

/** A /proc with this mount table after the root's line. */
function copiedTable(
  context: TestContext,
  lines: readonly string[],
): { proc: string; write: (lines: readonly string[]) => void } {
  const proc = mkdtempSync(join(tmpdir(), 'mounts-'));
  context.after(() => rmSync(proc, { recursive: true }));
  mkdirSync(join(proc, 'self'));
  const write = (lines: readonly string[]): void =>
    writeFileSync(join(proc, 'self', 'mountinfo'), [root, ...lines, ''].join('\n'));
  write(lines);
  return { proc, write };
}
