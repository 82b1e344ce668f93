import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, stat, writeSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  closePipeEnd,
  createPipe,
  loadSyscalls,
  Open,
  openPipeEnd,
  type Pipe,
  pipeCalls,
  PipeReader,
  PipeWriter,
} from '../index.js';

const syscalls = loadSyscalls();

const splice = process.arch === 'arm64' ? 76 : 275;

/** A process that splices from a socket without data into its standard output, and holds the lock of that pipe. */
const holding = `socketpair(A, B, 1, 1, 0) || die; syscall(${splice}, fileno(A), 0, 1, 0, 4096, 0)`;

/** Starts it, and resolves when it has the lock of the pipe of this descriptor. */
async function hold(fd: number, context: TestContext): Promise<ChildProcess> {
  const holder = spawn('perl', ['-e', holding], { stdio: ['ignore', fd, 'inherit'] });
  context.after(() => holder.kill('SIGKILL'));
  while (!readFileSync(`/proc/${holder.pid}/syscall`, 'utf8').startsWith(`${splice} `)) await turn();
  return holder;
}

async function release(holder: ChildProcess): Promise<void> {
  holder.kill('SIGKILL');
  await once(holder, 'exit');
}

function pipeWith(context: TestContext, content = ''): Pipe {
  const pipe = createPipe(syscalls);
  context.after(() => {
    for (const end of [pipe.read, pipe.write]) if (end.open) end.close();
  });
  writeSync(pipe.write.fd, content);
  return pipe;
}

const descriptors = (): number => readdirSync('/proc/self/fd').length;

test('a read of a held pipe waits; the event loop, other files and other pipes do not', async (context) => {
  const pipe = pipeWith(context, 'before');
  const holder = await hold(pipe.write.fd, context);
  const reader = new PipeReader(pipe.read, 'holder');
  let got = '';
  reader.on('data', (bytes: Buffer) => (got += bytes.toString()));
  while (pipeCalls.running === 0) await turn();
  await promisify(stat)('/');
  const others = new PipeReader(pipeWith(context, 'others').read, 'other');
  const [theirs] = (await once(others, 'data')) as [Buffer];
  assert.equal(theirs.toString(), 'others');
  assert.equal(got, '');
  const arrived = once(reader, 'data');
  await release(holder);
  await arrived;
  assert.equal(got, 'before');
  for (const each of [others, reader]) await once(each.destroy(), 'close');
});

test('a write to a held pipe and its close wait; the event loop does not', async (context) => {
  const before = descriptors();
  const pipe = pipeWith(context);
  const holder = await hold(pipe.write.fd, context);
  const writer = new PipeWriter(pipe.write, 'holder');
  writer.write('waits');
  while (pipeCalls.running === 0) await turn();
  closePipeEnd(pipe.read, 'holder');
  const closed = once(writer.destroy(), 'close');
  await turn();
  assert.ok(pipeCalls.running > 0);
  await release(holder);
  await closed;
  while (pipeCalls.running > 0) await turn();
  assert.equal(descriptors(), before);
});

test('an open of a held pipe fails after its time; what comes later is closed', async (context) => {
  const pipe = pipeWith(context);
  const holder = await hold(pipe.write.fd, context);
  const before = descriptors();
  const at = { path: `/proc/self/fd/${pipe.write.fd}`, flags: Open.ReadOnly | Open.NonBlock };
  await assert.rejects(openPipeEnd(syscalls, { ...at, owner: 'holder', milliseconds: 20 }), {
    code: 'ETIMEDOUT',
  });
  await release(holder);
  while (pipeCalls.running > 0) await turn();
  assert.equal(descriptors(), before);
  const end = await openPipeEnd(syscalls, { ...at, owner: 'holder', milliseconds: 60_000 });
  closePipeEnd(end, 'holder');
});
