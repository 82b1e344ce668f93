import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as dial, type Socket } from 'node:net';
import { after, before, suite, test } from 'node:test';

import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { type Channel, type Client, Code, connect, createClient, TtrpcError } from '@kata-agent/ttrpc';

import { build } from './artifacts.js';
import { type Service, startService } from './child.js';
import { DetailSchema, Interop } from './gen/interop_pb.js';
import { TemporaryDirectory } from './temporary-directory.js';

const built = build('interop.binpb', 'peer-server');
const mebibyte = 2 ** 20;

suite("our client against Go's server", { skip: built.ok ? false : built.missing }, () => {
  const directory = new TemporaryDirectory();
  let peer: Service;
  let socket: Socket;
  let channel: Channel;
  let client: Client<typeof Interop>;

  before(async () => {
    if (!built.ok) throw new Error(built.missing);
    const address = directory.join('socket');
    const args = ['-descriptors', built.path('interop.binpb'), '-listen', address];
    peer = await startService(built.path('peer-server'), args);
    socket = dial(address);
    await once(socket, 'connect');
    channel = connect(socket);
    client = createClient(Interop, channel);
  });
  after(async () => {
    channel.close();
    await peer.stop();
    directory.remove();
  });

  test('a call and its reply', async () => {
    const data = Uint8Array.of(0, 1, 255);
    const reply = await client.echo({ text: 'héllo', data });
    assert.equal(reply.text, 'héllo');
    assert.deepEqual([...reply.data], [...data]);
    assert.equal(reply.hasTimeout, false);
  });

  test('an empty request and an empty reply', async () => {
    assert.equal((await client.echo({})).text, '');
    await client.sleep({});
  });

  test('metadata and timeout arrive', async () => {
    const options = { metadata: { Color: ['red', 'green'], shape: 'round' }, timeoutMs: 60_000 };
    const reply = await client.echo({}, options);
    assert.deepEqual(
      reply.metadata.map(({ key, value }) => [key, value]),
      [
        ['color', 'red'],
        ['color', 'green'],
        ['shape', 'round'],
      ],
    );
    assert.equal(reply.hasTimeout, true);
  });

  test('a status with its details', async () => {
    const error = await failure(client.fail({ code: 9, message: 'not now', details: ['one', 'two'] }));
    assert.equal(error.code, Code.FailedPrecondition);
    assert.equal(error.message, 'not now');
    assert.deepEqual(
      error.details.map((detail) => anyUnpack(detail, DetailSchema)?.text),
      ['one', 'two'],
    );
  });

  test('a deadline ends the call and keeps the connection', async () => {
    const error = await failure(client.sleep({ milliseconds: 600_000 }, { timeoutMs: 50 }));
    assert.equal(error.code, Code.DeadlineExceeded);
    assert.equal((await client.echo({ text: 'still here' })).text, 'still here');
  });

  test('a cancelled call ends at once, and its late answer is ignored', async () => {
    const controller = new AbortController();
    const slow = failure(client.sleep({ milliseconds: 100 }, { signal: controller.signal }));
    controller.abort();
    assert.equal((await slow).code, Code.Canceled);
    await client.sleep({ milliseconds: 300 });
    assert.equal((await client.echo({ text: 'still here' })).text, 'still here');
  });

  test('the largest messages, in both directions', async () => {
    // Frame: 4 MiB. Envelope of the request: service 17, method 6, payload's tag and length 5; field data 5.
    const data = new Uint8Array(4 * mebibyte - 17 - 6 - 5 - 5).fill(0x5a);
    const reply = await client.echo({ data });
    assert.equal(Buffer.compare(reply.data, data), 0);
    assert.equal((await client.blob({ size: 4 * mebibyte - 10 })).data.length, 4 * mebibyte - 10);
  });

  test('a request over the limit is not sent', async () => {
    const error = await failure(client.echo({ data: new Uint8Array(4 * mebibyte) }));
    assert.equal(error.code, Code.ResourceExhausted);
    assert.equal((await client.echo({ text: 'still here' })).text, 'still here');
  });

  test('3,200 calls of 64 concurrent callers each get their own answer', async () => {
    const caller = async (number: number): Promise<void> => {
      for (let call = 0; call < 50; call += 1) {
        const text = `caller ${number} call ${call}`;
        const data = new Uint8Array(1 + number * call);
        const reply = await client.echo({ text, data });
        assert.equal(reply.text, text);
        assert.equal(reply.data.length, data.length);
      }
    };
    await Promise.all(Array.from({ length: 64 }, (_, number) => caller(number)));
  });

  test('the server sums a stream of ours', async () => {
    const total = await client.sum(numbers(10_000));
    assert.deepEqual([total.sum, total.count], [50_005_000n, 10_000n]);
    const none = await client.sum(numbers(0));
    assert.deepEqual([none.sum, none.count], [0n, 0n]);
  });

  test("a server's stream arrives complete and in order", async () => {
    assert.deepEqual(await values(client.count({ upTo: 1000n })), range(1000));
    assert.deepEqual(await values(client.count({})), []);
  });

  test("a server's stream that ends with a status", async () => {
    const seen: bigint[] = [];
    const error = await failure(
      (async () => {
        for await (const { value } of client.count({ upTo: 10n, failAfter: 3n, failCode: 8 }))
          seen.push(value);
      })(),
    );
    assert.equal(error.code, Code.ResourceExhausted);
    assert.equal(error.message, 'counted far enough');
    assert.deepEqual(seen, range(3));
  });

  test('bidirectional streaming: each number is answered before the next', async () => {
    const turns = new Turns();
    const seen: bigint[] = [];
    turns.send(1n);
    for await (const { value } of client.chat(turns)) {
      seen.push(value);
      if (seen.length === 100) turns.close();
      else turns.send(BigInt(seen.length + 1));
    }
    assert.deepEqual(
      seen,
      range(100).map((value) => 2n * value),
    );
    assert.deepEqual(await values(client.chat(numbers(0))), []);
  });

  test('16 streams and unary calls concurrently on one connection', async () => {
    const streams = Array.from({ length: 16 }, () => values(client.chat(numbers(200))));
    const echoes = Array.from({ length: 100 }, (_, index) => client.echo({ text: String(index) }));
    const doubled = range(200).map((value) => 2n * value);
    for (const answers of await Promise.all(streams)) assert.deepEqual(answers, doubled);
    const texts = (await Promise.all(echoes)).map(({ text }) => text);
    assert.deepEqual(texts, [...texts.keys()].map(String));
  });
});

suite('a Go server that disconnects', { skip: built.ok ? false : built.missing }, () => {
  test('running calls fail, and so do later ones', async () => {
    if (!built.ok) throw new Error(built.missing);
    const directory = new TemporaryDirectory();
    const address = directory.join('socket');
    const peer = await startService(built.path('peer-server'), [
      '-descriptors',
      built.path('interop.binpb'),
      '-listen',
      address,
    ]);
    const socket = dial(address);
    await once(socket, 'connect');
    const channel = connect(socket);
    const client = createClient(Interop, channel);
    await client.echo({});
    const waiting = failure(client.sleep({ milliseconds: 600_000 }));
    const gone = once(peer.process, 'exit');
    peer.process.kill('SIGKILL');
    await gone;
    assert.equal((await waiting).code, Code.Unavailable);
    await channel.closed;
    assert.equal((await failure(client.echo({}))).code, Code.Unavailable);
    directory.remove();
  });
});

/** A stream of numbers that are sent one at a time, in turn. */
class Turns implements AsyncIterable<{ value: bigint }> {
  readonly #waiting: bigint[] = [];
  #closed = false;
  #wake: () => void = () => undefined;

  send(value: bigint): void {
    this.#waiting.push(value);
    this.#wake();
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<{ value: bigint }> {
    for (;;) {
      const value = this.#waiting.shift();
      if (value !== undefined) yield { value };
      else if (this.#closed) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}

async function* numbers(upTo: number): AsyncGenerator<{ value: bigint }> {
  for (const value of range(upTo)) yield { value };
}

function range(upTo: number): bigint[] {
  return Array.from({ length: upTo }, (_, index) => BigInt(index + 1));
}

async function values(stream: AsyncIterable<{ readonly value: bigint }>): Promise<bigint[]> {
  const all: bigint[] = [];
  for await (const { value } of stream) all.push(value);
  return all;
}

/** Returns the error with which a call must fail. */
async function failure(call: Promise<unknown>): Promise<TtrpcError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof TtrpcError) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: 'the call should have failed' });
}
