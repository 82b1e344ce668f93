import assert from 'node:assert/strict';
import { suite, test } from 'node:test';

import { BinaryReader } from '@bufbuild/protobuf/wire';
import { type Client, Code, connect, createClient, createServer, service, TtrpcError } from '@kata-agent/ttrpc';

import { Interop } from '../interop/gen/interop_pb.js';
import { interopService } from '../interop/interop-service.js';
import { type Conversation, type GoldenFrame, goldenConversations } from './conversation.js';
import { Replay } from './replay.js';

const conversations = goldenConversations();
/** Limit for a frame without an answer; nothing here takes a second. */
const options = { timeout: 10_000 };
const headerHex = 20;

/** The scripts of capture/scripts.go for our client, each with its expected results. */
const scripts: Readonly<Record<string, (client: Client<typeof Interop>) => Promise<void>>> = {
  unary: async (client) => {
    const reply = await client.echo({ text: 'hello', data: Uint8Array.of(0, 1, 255) });
    assert.equal(reply.text, 'hello');
    assert.deepEqual([...reply.data], [0, 1, 255]);
  },
  'unary-empty': async (client) => {
    await client.sleep({});
  },
  'unary-twice': async (client) => {
    assert.equal((await client.echo({ text: 'one' })).text, 'one');
    assert.equal((await client.echo({ text: 'two' })).text, 'two');
  },
  'status-details': async (client) => {
    const error = await failure(client.fail({ code: 9, message: 'not now', details: ['one', 'two'] }));
    assert.deepEqual([error.code, error.message, error.details.length], [Code.FailedPrecondition, 'not now', 2]);
  },
  'metadata-timeout': async (client) => {
    const reply = await client.echo(
      { text: 'hello' },
      { metadata: { color: ['red', 'green'] }, timeoutMs: 1500 },
    );
    assert.deepEqual(
      reply.metadata.map(({ value }) => value),
      ['red', 'green'],
    );
  },
  'client-stream': async (client) => {
    const total = await client.sum(numbers(1n, 2n, 3n));
    assert.deepEqual([total.sum, total.count], [6n, 3n]);
  },
  'client-stream-empty': async (client) => {
    assert.equal((await client.sum(numbers())).count, 0n);
  },
  'server-stream': async (client) => {
    assert.deepEqual(await values(client.count({ upTo: 3n })), [1n, 2n, 3n]);
  },
  'server-stream-error': async (client) => {
    const error = await failure(values(client.count({ upTo: 3n, failAfter: 2n, failCode: 8 })));
    assert.equal(error.code, Code.ResourceExhausted);
  },
  bidirectional: async (client) => {
    const turn = { resolve: (): void => undefined };
    const answered = new Promise<void>((resolve) => {
      turn.resolve = resolve;
    });
    async function* oneByOne(): AsyncGenerator<{ value: bigint }> {
      yield { value: 5n };
      await answered;
      yield { value: 7n };
    }
    const seen: bigint[] = [];
    for await (const { value } of client.chat(oneByOne())) {
      seen.push(value);
      turn.resolve();
    }
    assert.deepEqual(seen, [10n, 14n]);
  },
  'bidirectional-empty': async (client) => {
    assert.deepEqual(await values(client.chat(numbers())), []);
  },
};

suite("frames captured from Go: our client instead of Go's", () => {
  for (const conversation of conversations) {
    const script = scripts[conversation.name];
    // A typed client has no methods outside of its service.
    if (script === undefined && conversation.name === 'unknown-method') continue;
    test(`${conversation.name}: ${conversation.about}`, options, async () => {
      assert.ok(script !== undefined, `no script for ${conversation.name}`);
      const replay = new Replay(conversation, 'server');
      const channel = connect(replay);
      await script(createClient(Interop, channel));
      assertSame(await replay.heard(), conversation, 'client');
      channel.close();
    });
  }
});

suite("frames captured from Go: our server instead of Go's", () => {
  for (const conversation of conversations) {
    test(`${conversation.name}: ${conversation.about}`, options, async () => {
      const server = createServer<undefined>({ services: [service(Interop, interopService)] });
      const replay = new Replay(conversation, 'client');
      server.serve(replay, undefined);
      const heard = await replay.heard();
      server.close();
      if (conversation.name === 'unknown-method') {
        // Messages differ between servers; id, type, flags and the status code do not.
        assert.equal(heard.length, 1);
        const answer = heard[0] ?? '';
        assert.equal(answer.slice(8, headerHex), '000000010200');
        assert.match(Buffer.from(answer, 'hex').toString('latin1'), /\x08\x0c.*Nope/);
        return;
      }
      assertSame(heard, conversation, 'server');
    });
  }
});

/** Asserts that a role's frames equal Go's: byte for byte, or field for field where the order is undefined. */
function assertSame(heard: readonly string[], conversation: Conversation, from: GoldenFrame['from']): void {
  const expected = conversation.frames.filter((frame) => frame.from === from).map(({ hex }) => hex);
  if (conversation.name === 'metadata-timeout' && from === 'client') {
    // Protobuf does not define the order of fields; ours writes the payload last.
    assert.deepEqual(heard.map(unordered), expected.map(unordered));
  } else assert.deepEqual(heard, expected);
}

/** A frame's header and the sorted fields of its envelope. */
function unordered(hex: string): readonly string[] {
  const reader = new BinaryReader(Buffer.from(hex.slice(headerHex), 'hex'));
  const fields: string[] = [];
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    fields.push(`${number} ${Buffer.from(reader.skip(wireType, number)).toString('hex')}`);
  }
  return [hex.slice(0, headerHex), ...fields.toSorted()];
}

async function* numbers(...list: readonly bigint[]): AsyncGenerator<{ value: bigint }> {
  for (const value of list) yield { value };
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
