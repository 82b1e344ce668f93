import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadSyscalls } from '../syscalls/load-syscalls.js';
import { lockHolder } from './lock-holder.js';

const kernel = loadSyscalls();

test('a file is locked by one open file description and free after its last close', (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'lock-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'lock');
  const [first, second] = [openSync(path, 'w'), openSync(path, 'r')];
  assert.equal(lockHolder(fstatSync(first)), undefined);
  assert.equal(kernel.tryLock(first), true);
  assert.equal(kernel.tryLock(first), true, 'the same open file has it already');
  assert.equal(kernel.tryLock(second), false);
  assert.equal(lockHolder(fstatSync(second)), process.pid);
  closeSync(first);
  assert.equal(lockHolder(fstatSync(second)), undefined);
  assert.equal(kernel.tryLock(second), true);
  closeSync(second);
  assert.throws(() => kernel.tryLock(second), { code: 'EBADF', syscall: 'flock' });
});

test('SIGKILL of the holder releases a lock', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'lock-'));
  const path = join(directory, 'lock');
  const child = spawn('flock', ['--no-fork', path, 'sh', '-c', 'echo locked; exec sleep infinity'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const fd = openSync(path, 'a');
  try {
    await once(child.stdout, 'data');
    assert.equal(kernel.tryLock(fd), false);
    assert.equal(lockHolder(fstatSync(fd)), child.pid);
    child.kill('SIGKILL');
    await ended;
    assert.equal(kernel.tryLock(fd), true);
  } finally {
    child.kill('SIGKILL');
    closeSync(fd);
    rmSync(directory, { recursive: true });
  }
});

test('rows of other locks, of waiters, and with large numbers', (context) => {
  const proc = mkdtempSync(join(tmpdir(), 'proc-'));
  context.after(() => rmSync(proc, { recursive: true }));
  const file = { dev: 0xfe00, ino: 11_248_639 };
  assert.equal(lockHolder(file, proc), undefined, 'there is no list');
  writeFileSync(
    join(proc, 'locks'),
    [
      '1: POSIX  ADVISORY  WRITE 11 fe:00:11248639 0 EOF',
      '2: FLOCK  ADVISORY  WRITE 12 fd:00:11248639 0 EOF',
      '2: -> FLOCK  ADVISORY  WRITE 13 fe:00:11248639 0 EOF',
      '3: FLOCK  ADVISORY  WRITE 14 fe:00:11248639 0 EOF',
      '4: FLOCK  ADVISORY  READ  15 103:10001:7 0 EOF',
      '5: FLOCK  ADVISORY  WRITE 0 00:1a:8 0 EOF',
      '',
    ].join('\n'),
  );
  assert.equal(lockHolder(file, proc), 14);
  assert.equal(lockHolder({ dev: 0x10010301, ino: 7 }, proc), 15);
  assert.equal(lockHolder({ dev: 0x1a, ino: 8 }, proc), undefined, 'its pid is not visible here');
  assert.equal(lockHolder({ dev: 0x1a, ino: 9 }, proc), undefined);
});
