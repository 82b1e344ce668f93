import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { connectHvsock } from './hvsock.js';

/** The client's end of a socket: the test sends and reads bytes. */
class FakeSocket extends Duplex {
  written = '';
  override _read(): void {
    // The test pushes the input.
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written += chunk.toString('latin1');
    done();
  }
}

/** Collects all bytes that arrive from here on. */
async function readAll(stream: Duplex): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

test('sends CONNECT with the port and accepts OK', async () => {
  const socket = new FakeSocket();
  const ready = connectHvsock(socket, 1024);
  assert.equal(socket.written, 'CONNECT 1024\n');
  socket.push('OK 1073741824\n');
  await ready;
});

test('bytes after the reply line belong to ttRPC, whatever the chunk boundaries', async () => {
  const bytes = fc.uint8Array({ maxLength: 40 });
  const cuts = fc.array(fc.nat(60), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(bytes, cuts, async (payload, at) => {
      const whole = Buffer.concat([Buffer.from('OK 5\n'), payload]);
      const socket = new FakeSocket();
      const ready = connectHvsock(socket, 7);
      const edges = [0, ...at.filter((cut) => cut < whole.length).sort((a, b) => a - b), whole.length];
      for (const [index, from] of edges.slice(0, -1).entries()) {
        const part = whole.subarray(from, edges[index + 1]);
        if (part.length > 0) socket.push(part);
        await new Promise(setImmediate);
      }
      await ready;
      socket.push(null);
      assert.deepEqual(await readAll(socket), Buffer.from(payload));
    }),
    { numRuns: 50 },
  );
});

test('a VMM that closes the connection means that nothing listens', async () => {
  const socket = new FakeSocket();
  const ready = connectHvsock(socket, 1024);
  socket.push(null);
  await assert.rejects(ready, /nothing listens on port 1024/);
});

test('a reply other than OK is quoted', async () => {
  for (const [answer, pattern] of [
    ['FAIL\n', /got "FAIL"/],
    ['OK\n', /got "OK"/],
    ['OK 5 6\n', /got "OK 5 6"/],
    [`OK ${'9'.repeat(60)}`, /got "OK 9+"/],
    [`OK ${'9'.repeat(60)}\n`, /got "OK 9+"/],
  ] as const) {
    const socket = new FakeSocket();
    const ready = connectHvsock(socket, 1);
    socket.push(answer);
    await assert.rejects(ready, pattern, answer);
  }
});

test('a socket error is passed on', async () => {
  const socket = new FakeSocket();
  const ready = connectHvsock(socket, 1);
  socket.destroy(new Error('connection reset'));
  await assert.rejects(ready, /connection reset/);
});
