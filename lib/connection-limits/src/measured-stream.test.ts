import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { MeasuredStream, Turns } from './measured-stream.js';

/** A record of TLS with so many bytes after its header. */
function record(bytes: number, type = 22): Buffer {
  const header = Buffer.of(type, 3, 3, 0, 0);
  header.writeUInt16BE(bytes, 3);
  return Buffer.concat([header, Buffer.alloc(bytes, bytes % 256)]);
}

interface Pair {
  readonly client: Socket;
  readonly socket: Socket;
  readonly stream: MeasuredStream;
  readonly passed: Buffer[];
  readonly oversized: () => number;
  /** Resolves when so many bytes were passed on. */
  readonly bytes: (count: number) => Promise<void>;
}

async function pairOf(t: TestContext, budget = 1_000): Promise<Pair> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const [socket] = (await once(server, 'connection')) as [Socket];
  let oversized = 0;
  const stream = new MeasuredStream(socket, {
    turns: new Turns(),
    budget,
    onOversized: () => (oversized += 1),
  });
  const passed: Buffer[] = [];
  stream.on('data', (bytes: Buffer) => passed.push(bytes));
  t.after(() => {
    server.close();
    client.destroy();
    stream.destroy();
  });
  const bytes = async (count: number): Promise<void> => {
    while (Buffer.concat(passed).length < count) await delay(1);
  };
  return { client, socket, stream, passed, oversized: () => oversized, bytes };
}

describe('a measured stream', () => {
  it('passes on whole records, also of parts, and within the budget only', async (t) => {
    const { client, passed, oversized, bytes } = await pairOf(t);
    const first = record(300);
    for (const byte of first.subarray(0, 7)) {
      client.write(Buffer.of(byte));
      await turn();
    }
    await delay(20);
    assert.deepEqual(passed, []);
    client.write(first.subarray(7));
    await bytes(305);
    client.write(Buffer.concat([record(100), record(200)]));
    await bytes(615);
    assert.deepEqual(Buffer.concat(passed), Buffer.concat([first, record(100), record(200)]));
    // 385 bytes are left.
    client.write(record(381).subarray(0, 5));
    while (oversized() === 0) await delay(1);
    assert.equal(Buffer.concat(passed).length, 615);
  });

  it('refuses a record that is too large by its header, and keeps no more of it', async (t) => {
    const { client, socket, passed, oversized } = await pairOf(t);
    client.write(Buffer.concat([record(60_000), Buffer.alloc(4_000_000)]));
    while (oversized() === 0) await delay(1);
    await delay(50);
    assert.deepEqual([passed, oversized()], [[], 1]);
    assert.ok(socket.bytesRead < 200_000, String(socket.bytesRead));
  });

  it('passes on everything after it was released, in order, with the end', async (t) => {
    const { client, stream, passed, bytes } = await pairOf(t);
    // What follows the handshake in the same packet is more than the budget.
    const all = Buffer.concat([record(500), record(16_000, 23), record(5, 23), Buffer.alloc(500_000, 7)]);
    stream.once('data', () => stream.release());
    const ended = once(stream, 'end');
    client.end(all);
    await bytes(all.length);
    assert.deepEqual(Buffer.concat(passed), all);
    await ended;
    // The other direction is open.
    stream.end('a reply');
    const [reply] = (await once(client, 'data')) as [Buffer];
    assert.equal(reply.toString(), 'a reply');
  });

  it('can be released between records, and ended before', async (t) => {
    const one = await pairOf(t);
    one.stream.release();
    one.client.end('anything');
    await one.bytes(8);
    const other = await pairOf(t);
    const ended = once(other.stream, 'end');
    other.client.end(record(10));
    await other.bytes(15);
    await ended;
  });

  it('passes on what is not TLS at once, for an error that says so', async (t) => {
    const { client, bytes } = await pairOf(t);
    client.write('GET / HTTP/1.1\r\n');
    await bytes(16);
  });

  it('closes with its socket, and closes it', async (t) => {
    const one = await pairOf(t);
    one.client.resetAndDestroy();
    one.socket.on('error', () => undefined);
    await once(one.stream, 'close');
    const other = await pairOf(t);
    other.client.resume();
    other.stream.destroy();
    await once(other.client, 'end');
  });
});

describe('turns', () => {
  it('run one piece of work in a turn of the event loop, each once', async () => {
    const turns = new Turns();
    const ran: string[] = [];
    const work = ['a', 'b', 'c', 'd'].map((name) => () => void ran.push(name));
    for (const each of [...work, ...work]) turns.add(each);
    turns.remove(work[2] as () => void);
    assert.deepEqual(ran, []);
    const counts: number[] = [];
    for (let count = 0; count < 5; count += 1) {
      await turn();
      counts.push(ran.length);
    }
    assert.deepEqual(ran, ['a', 'b', 'd']);
    for (const [index, count] of counts.entries())
      assert.ok(count - (counts[index - 1] ?? 0) <= 1, counts.join());
  });
});
