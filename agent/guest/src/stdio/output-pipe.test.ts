import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { createPipe, type Descriptor, loadSyscalls, PipeReader } from '@kata-agent/linux';
import * as fc from 'fast-check';
import { OutputStream } from './output-stream.js';

const never = new AbortController();

interface Output {
  readonly stream: OutputStream;
  /** Where the process writes. */
  readonly end: Descriptor;
}

function outputPipe(buffer = 1_048_576): Output {
  const { read, write } = createPipe(loadSyscalls());
  const overflow = { drained: () => false, take: () => assert.fail('no output may be discarded') };
  const stream = new OutputStream(
    new PipeReader(read, 'test'),
    { buffer, source: 65_536 },
    overflow,
    'drain',
  );
  return { stream, end: write };
}

function opened(context: TestContext, buffer?: number): Output {
  const output = outputPipe(buffer);
  context.after(() => output.end.close());
  return output;
}

test('bytes of a pipe are read once each and in order, whenever they are written and read', async () => {
  const pause = fc.constantFrom('none', 'turn', 'long');
  const writing = fc.record({ size: fc.integer({ min: 1, max: 9000 }), pause });
  const reading = fc.record({ size: fc.integer({ min: 2000, max: 9000 }), pause });
  const rest = async (how: string): Promise<void> => {
    if (how === 'turn') await turn();
    else if (how === 'long') await delay(4);
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(writing, { minLength: 1, maxLength: 15 }),
      fc.array(reading, { minLength: 1, maxLength: 15 }),
      fc.integer({ min: 1, max: 20_000 }),
      async (writes, reads, buffer) => {
        const { stream, end } = outputPipe(buffer);
        const total = writes.reduce((sum, { size }) => sum + size, 0);
        const sent = Buffer.from(Uint8Array.from({ length: total }, (_, at) => (at * 7) % 251));
        const read = { bytes: 0 };
        const written = (async () => {
          let at = 0;
          for (const { size, pause: how } of writes) {
            // A pipe holds 64 KiB, and this thread is also the reader.
            while (at + size - read.bytes > 50_000) await delay(1);
            at += writeSync(end.fd, sent, at, size);
            await rest(how);
          }
          end.close();
        })();
        const got: Uint8Array[] = [];
        for (let turnOf = 0; ; turnOf += 1) {
          const { size, pause: how } = reads[turnOf % reads.length] as (typeof reads)[number];
          const part = await stream.read(size, never);
          assert.ok(part.length <= size);
          if (part.length === 0) break;
          read.bytes += part.length;
          got.push(part);
          await rest(how);
        }
        await written;
        assert.ok(Buffer.concat(got).equals(sent));
      },
    ),
    { numRuns: 25 },
  );
});

test('a read after another takes all that has come meanwhile, in one', async (context) => {
  const { stream, end } = opened(context);
  writeSync(end.fd, 'first');
  assert.equal(Buffer.from(await stream.read(100, never)).toString(), 'first');
  for (const text of ['sec', 'ond', ' and', ' more']) writeSync(end.fd, text);
  assert.equal(Buffer.from(await stream.read(10, never)).toString(), 'second and');
  assert.equal(Buffer.from(await stream.read(10, never)).toString(), ' more');
});

test('a read that finds an empty pipe gets the next bytes as they come', async (context) => {
  const { stream, end } = opened(context);
  writeSync(end.fd, 'first');
  await stream.read(100, never);
  const next = stream.read(100, never);
  await turn();
  writeSync(end.fd, 'n');
  assert.equal(Buffer.from(await next).toString(), 'n');
});

test('several reads that wait are served in order, also right after one that was served', async (context) => {
  const { stream, end } = opened(context);
  const reads = ['a', 'b', 'c'].map(() => stream.read(1, never));
  for (const text of ['a', 'b', 'c']) {
    await delay(3);
    writeSync(end.fd, text);
  }
  assert.equal(Buffer.concat(await Promise.all(reads)).toString(), 'abc');
});

test('a process whose reader does not come again is read ahead, up to the buffer', async () => {
  const { stream, end } = outputPipe(400_000);
  const child = spawn('sh', ['-c', 'head -c 300000 /dev/zero; echo done >&2; cat'], {
    stdio: ['pipe', end.fd, 'pipe'],
  });
  end.close();
  const written = once(child.stderr ?? assert.fail(), 'data');
  assert.ok((await stream.read(10, never)).length > 0);
  await written;
  child.stdin?.end();
  await once(child, 'exit');
  let total = 10;
  for (
    let part = await stream.read(1_000_000, never);
    part.length > 0;
    part = await stream.read(1_000_000, never)
  )
    total += part.length;
  assert.equal(total, 300_000);
});
