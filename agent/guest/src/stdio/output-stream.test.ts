import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, test } from 'node:test';
import * as fc from 'fast-check';
import { OutputLog, OutputStream, type Overflow } from './output-stream.js';

const keep: Overflow = { drained: () => false, take: () => assert.fail('no output may be discarded') };
const never = new AbortController();
const open = (source: PassThrough, buffer = 1024, overflow = keep): OutputStream =>
  new OutputStream(source, { buffer, source: 65_536 }, overflow);
const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

test('the bytes that are read are those that were written, in any pieces', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 40 }),
      fc.integer({ min: 1, max: 400 }),
      fc.integer({ min: 1, max: 500 }),
      async (pieces, length, buffer) => {
        const source = new PassThrough();
        const stream = open(source, buffer);
        for (const piece of pieces) source.write(piece);
        source.end();
        const received: Uint8Array[] = [];
        for (;;) {
          const chunk = await stream.read(length, never);
          assert.ok(chunk.length <= length);
          if (chunk.length === 0) break;
          received.push(chunk);
        }
        assert.deepEqual(Buffer.concat(received), Buffer.concat(pieces));
      },
    ),
    { numRuns: 50 },
  );
});

test('a full buffer pauses the source; a read resumes it', async () => {
  const source = new PassThrough({ highWaterMark: 16 });
  const stream = open(source, 100);
  source.write(Buffer.alloc(100));
  await turn();
  assert.ok(source.isPaused());
  await stream.read(60, never);
  assert.ok(!source.isPaused());
});

test('reads are served in order; an aborted read consumes nothing', async () => {
  const source = new PassThrough();
  const stream = open(source);
  const stop = new AbortController();
  const [first, second] = [stream.read(10, stop), stream.read(10, never)];
  stop.abort(new Error('enough'));
  await assert.rejects(first, /enough/);
  await assert.rejects(stream.read(1, stop), /enough/);
  source.write('for the second');
  assert.equal(Buffer.from(await second).toString(), 'for the se');
});

test('a read that need not wait does not make a signal', async () => {
  const source = new PassThrough();
  const stream = open(source);
  source.write('there');
  await turn();
  const call = {
    get signal(): AbortSignal {
      return assert.fail('a signal was made');
    },
  };
  assert.equal(Buffer.from(await stream.read(10, call)).toString(), 'there');
  stream.end();
  assert.equal((await stream.read(10, call)).length, 0);
});

test('output that no client may read is drained, and the writer continues', async () => {
  const taken: Uint8Array[] = [];
  let drained = false;
  const source = new PassThrough();
  const stream = open(source, 10, { drained: () => drained, take: (data) => taken.push(data) });
  source.write('before the rule '.repeat(2));
  await turn();
  assert.ok(source.isPaused(), 'it waits while a client may read it');
  drained = true;
  source.resume();
  for (let i = 0; i < 100; i += 1) source.write('drained ');
  await turn();
  assert.ok(!source.isPaused());
  stream.end();
  assert.equal(Buffer.concat(taken).length, 32 + 800);
});

test('output waits for an allowed reader, and is drained once it is denied', async () => {
  const taken: Uint8Array[] = [];
  const source = new PassThrough();
  const stream = open(source, 10, { drained: () => true, take: (data) => taken.push(data) });
  stream.noteReader('tenant', true);
  stream.noteReader('host', false);
  source.write('for the tenant');
  await turn();
  assert.ok(source.isPaused() && taken.length === 0, 'denials of the host do not drain the tenant’s output');
  stream.noteReader('tenant', false);
  await turn();
  assert.ok(!source.isPaused());
  assert.equal(Buffer.concat(taken).toString(), 'for the tenant');
});

test('a denial makes a full stream check again whether any client may read', async () => {
  const taken: Uint8Array[] = [];
  let drained = false;
  const source = new PassThrough();
  const stream = open(source, 10, { drained: () => drained, take: (data) => taken.push(data) });
  source.write('more than ten');
  await turn();
  stream.noteReader('host', false);
  assert.ok(source.isPaused(), 'another client may read');
  drained = true;
  stream.forgetReaders();
  await turn();
  assert.ok(!source.isPaused() && taken.length === 1);
});

test('a bounded number of allowed readers is remembered, the newest ones', async () => {
  const source = new PassThrough();
  const stream = open(source, 10, { drained: () => true, take: () => undefined });
  for (let reader = 0; reader < 1_000; reader += 1) stream.noteReader(`reader ${reader}`, true);
  for (let reader = 936; reader < 999; reader += 1) stream.noteReader(`reader ${reader}`, false);
  source.write('more than ten');
  await turn();
  assert.ok(source.isPaused(), 'one allowed reader is left');
  stream.noteReader('reader 999', false);
  await turn();
  assert.ok(!source.isPaused(), 'older readers were forgotten');
});

test('all output is delivered before the end of file, also if the source stays open after the process’s end', async () => {
  const source = new PassThrough({ highWaterMark: 16 });
  const stream = open(source, 10);
  source.write('1234567890');
  source.write('left in the pipe');
  await turn();
  await stream.processEnded();
  assert.ok(stream.ended && !stream.finished);
  assert.equal(Buffer.from(await stream.read(100, never)).toString(), '1234567890left in the pipe');
  assert.equal((await stream.read(100, never)).length, 0);
  assert.ok(stream.finished);
});

test('a descendant that never stops writing does not delay the end of file', async () => {
  const source = new PassThrough();
  const stream = open(source, 1024);
  const endless = setInterval(() => source.write(Buffer.alloc(512)), 1);
  await stream.processEnded();
  clearInterval(endless);
  assert.ok(stream.ended);
});

test('a source that closes or fails ends the stream at once', async () => {
  for (const finish of [(s: PassThrough) => s.end(), (s: PassThrough) => s.destroy(new Error('EIO'))]) {
    const source = new PassThrough();
    const stream = open(source);
    const read = stream.read(10, never);
    finish(source);
    assert.equal((await read).length, 0);
    await stream.processEnded();
  }
});

const directory = mkdtempSync(join(tmpdir(), 'guest-log-'));

after(() => rmSync(directory, { recursive: true }));

test('a log has the last bytes of the output, within its limit', () => {
  let n = 0;
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 30 }), (pieces) => {
      const file = join(directory, `log-${(n += 1)}`);
      const log = new OutputLog(file, 64);
      for (const piece of pieces) log.append(piece);
      const parts = [`${file}.1`, file].map((name) =>
        existsSync(name) ? readFileSync(name) : Buffer.alloc(0),
      );
      const kept = Buffer.concat(parts);
      const all = Buffer.concat(pieces);
      assert.ok(kept.length <= 64);
      assert.ok(kept.length >= Math.min(32, all.length));
      assert.deepEqual(kept, all.subarray(all.length - kept.length));
      log.remove();
      assert.ok(!existsSync(file) && !existsSync(`${file}.1`));
    }),
    { numRuns: 50 },
  );
});
