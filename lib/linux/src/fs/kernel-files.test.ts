import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { KernelFiles, readKernelFile } from './kernel-files.js';

function directoryOf(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'kata-kernel-files-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

test('a file of several parts is read whole', (t) => {
  assert.equal(readKernelFile('/proc/self/cgroup'), readFileSync('/proc/self/cgroup', 'utf8'));
  const path = join(directoryOf(t), 'large');
  for (const length of [0, 1, 65_535, 65_536, 65_537, 200_000]) {
    const text = 'é'.repeat(length);
    writeFileSync(path, text);
    assert.equal(readKernelFile(path), text, `${length}`);
  }
});

test('a kept file is read whole, whatever its length', (t) => {
  const directory = directoryOf(t);
  const files = new KernelFiles();
  for (const length of [0, 1, 32_767, 32_768, 32_769, 100_000]) {
    const text = 'é'.repeat(length);
    writeFileSync(join(directory, 'kept'), text);
    assert.equal(files.read(directory, 'kept'), text, `${length}`);
  }
  files.close();
});

test('a FIFO, a link and a device are not read', (t) => {
  const directory = directoryOf(t);
  execFileSync('mkfifo', [join(directory, 'fifo')]);
  symlinkSync('/proc/self/cgroup', join(directory, 'link'));
  assert.throws(() => readKernelFile(join(directory, 'fifo')), /fifo is not a regular file/);
  assert.throws(() => readKernelFile(join(directory, 'link')), /ELOOP/);
  assert.throws(() => readKernelFile('/dev/zero'), /not a regular file/);
});

test('a file is read again from its beginning, and absent ones are undefined', (t) => {
  const directory = directoryOf(t);
  writeFileSync(join(directory, 'a'), 'first\n');
  const files = new KernelFiles();
  assert.equal(files.read(directory, 'a'), 'first\n');
  writeFileSync(join(directory, 'a'), 'second\n');
  assert.equal(files.read(directory, 'a'), 'second\n');
  assert.equal(files.read(directory, 'b'), undefined);
  assert.equal(files.read(join(directory, 'none'), 'b'), undefined);
  assert.equal(files.open, 1);
  files.close();
  assert.equal(files.open, 0);
});

test('a file that appears is found after a while', (t) => {
  const directory = directoryOf(t);
  let now = 0;
  const files = new KernelFiles(() => now);
  assert.equal(files.read(directory, 'a'), undefined);
  writeFileSync(join(directory, 'a'), 'here\n');
  now += 10_000;
  assert.equal(files.read(directory, 'a'), 'here\n');
  files.close();
});
