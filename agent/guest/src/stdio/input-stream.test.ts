import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import { test } from 'node:test';
import { InputStream } from './input-stream.js';

test('a write resolves when the pipe has taken it; the end of file comes after earlier writes', async () => {
  const sink = new PassThrough();
  const input = new InputStream(sink);
  const writing = input.write(Buffer.from('abc'));
  input.close();
  input.close();
  assert.equal(await writing, 3);
  assert.equal(Buffer.concat(await sink.toArray()).toString(), 'abc');
  await assert.rejects(input.write(Buffer.from('x')), { kind: 'precondition', message: /closed/ });
});

test('writes wait for a process that does not read, and fail above the limit or at its end', async () => {
  const input = new InputStream(new Writable({ write: () => undefined }));
  const waiting = input.write(Buffer.alloc(8 * 1024 * 1024));
  await assert.rejects(input.write(Buffer.alloc(1)), { kind: 'exhausted' });
  input.end();
  await assert.rejects(waiting, { kind: 'precondition' });
});

test('a write that the pipe takes while the process ends resolves; one that the kernel keeps fails', async () => {
  let take: () => void = () => undefined;
  const sink = new Writable({
    write: (_chunk, _encoding, done) => void (take = done),
    destroy: () => undefined,
  });
  const input = new InputStream(sink);
  const taken = input.write(Buffer.from('abc'));
  input.end();
  take();
  assert.equal(await taken, 3);
  const held = new InputStream(new Writable({ write: () => undefined, destroy: () => undefined }));
  const kept = held.write(Buffer.from('abc'));
  held.end();
  // The time limit alone does not keep a process running.
  const running = setInterval(() => undefined, 100);
  await assert.rejects(kept, { kind: 'precondition' });
  clearInterval(running);
});

test('a write without a reader is an error', async () => {
  const sink = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
  const input = new InputStream(sink);
  await assert.rejects(input.write(Buffer.from('x')), { kind: 'precondition' });
  await assert.rejects(input.write(Buffer.from('y')), { kind: 'precondition' });
});
