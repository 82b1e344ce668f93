import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  Open,
  RecordingSyscalls,
  closePipe,
  createPipe,
  loadSyscalls,
  pipeCalls,
  PipeReader,
  PipeWriter,
} from '../index.js';
import { buffer as allBytes } from 'node:stream/consumers';

const syscalls = loadSyscalls();

function descriptors(): readonly string[] {
  return readdirSync('/proc/self/fd').sort();
}

test('a pipe is close-on-exec at both ends and has the requested size', () => {
  const pipe = createPipe(syscalls, { size: 256 * 1024 });
  for (const end of [pipe.read, pipe.write]) {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${end.fd}`, 'utf8'))?.[1];
    assert.ok((Number.parseInt(flags ?? '0', 8) & Open.CloseOnExec) !== 0);
  }
  assert.equal(syscalls.setPipeSize(pipe.write.fd, 4096), 4096);
  closePipe(pipe);
  assert.equal(pipe.read.open, false);
  assert.equal(pipe.write.open, false);
});

test('a size that the kernel rejects leaks no descriptor', () => {
  const fake = new RecordingSyscalls();
  fake.fail('setPipeSize', 'EPERM');
  assert.throws(() => createPipe(fake, { size: 1 << 30 }), { code: 'EPERM' });
  assert.equal(fake.openDescriptors.size, 0);
});

test('size 0 keeps the kernel’s default', () => {
  const fake = new RecordingSyscalls();
  createPipe(fake, { size: 0 });
  assert.deepEqual(fake.argumentsOf('setPipeSize'), []);
});

test('a child reads and writes through pipes; both ends see end of file and no descriptor leaks', async () => {
  const before = descriptors();
  const input = createPipe(syscalls);
  const output = createPipe(syscalls);
  const child = spawn('cat', [], { stdio: [input.read.fd, output.write.fd, 'ignore'] });
  input.read.close();
  output.write.close();
  const writer = new PipeWriter(input.write, 'test');
  const reader = new PipeReader(output.read, 'test');
  const sent = Buffer.alloc(3_000_000, 'kata');
  writer.end(sent);
  assert.equal(Buffer.compare(await allBytes(reader), sent), 0);
  if (child.exitCode === null) await once(child, 'exit');
  assert.equal(child.exitCode, 0);
  if (!writer.closed) await once(writer, 'close');
  if (!reader.closed) await once(reader, 'close');
  assert.deepEqual(descriptors(), before);
});

test('a reader that pauses blocks the writer and loses nothing', async () => {
  const output = createPipe(syscalls, { size: 4096 });
  const child = spawn('sh', ['-c', 'head -c 1000000 /dev/zero; echo done >&2'], {
    stdio: ['ignore', output.write.fd, 'pipe'],
  });
  output.write.close();
  const reader = new PipeReader(output.read, 'test');
  const { stderr } = child;
  assert.ok(stderr);
  let printed = '';
  stderr.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  await new Promise<void>((resolve) => {
    reader.once('data', () => {
      reader.pause();
      resolve();
    });
    reader.resume();
  });
  await delay(100);
  // The child blocks in write(2): its output does not fit into 4096 bytes.
  assert.equal(printed, '');
  const rest = await allBytes(reader);
  assert.ok(rest.length >= 900_000 && rest.length < 1_000_000);
  if (printed === '') await once(stderr, 'data');
  assert.equal(printed, 'done\n');
});

test('a stream that is read without events continues after it has found the pipe empty', async () => {
  const pipe = createPipe(syscalls);
  const reader = new PipeReader(pipe.read, 'test');
  const all = allBytes(reader);
  // As much as is read at once, so that the next read finds nothing.
  writeSync(pipe.write.fd, Buffer.alloc(65_536));
  await once(reader, 'readable');
  while (pipeCalls.running > 0) await delay(1);
  await delay(5);
  writeSync(pipe.write.fd, 'rest');
  pipe.write.close();
  assert.equal((await all).length, 65_540);
});

test('a stream that is destroyed can be paused and resumed', async () => {
  const pipe = createPipe(syscalls);
  const reader = new PipeReader(pipe.read, 'test');
  reader.resume();
  const closed = once(reader.destroy(), 'close');
  reader.pause();
  reader.resume();
  await closed;
  reader.pause();
  pipe.write.close();
});

test('writing to a pipe whose reader is closed is EPIPE', async () => {
  const pipe = createPipe(syscalls);
  const writer = new PipeWriter(pipe.write, 'test');
  pipe.read.close();
  writer.write('x');
  const [error] = (await once(writer, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'EPIPE');
});

test('a write that is in the kernel when the stream is destroyed reports that the pipe has its bytes', async () => {
  const { read, write } = createPipe(syscalls);
  const writer = new PipeWriter(write, 'test');
  const reader = new PipeReader(read, 'test');
  const outcomes: string[] = [];
  for (const text of ['taken', 'left'])
    writer.write(text, (error) => outcomes.push(`${text}: ${error?.message ?? 'written'}`));
  writer.destroy();
  await once(writer, 'close');
  assert.deepEqual(
    new Set(outcomes),
    new Set(['left: Cannot call write after a stream was destroyed', 'taken: written']),
  );
  assert.equal(String(await allBytes(reader)), 'taken');
});
