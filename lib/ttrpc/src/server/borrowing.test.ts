import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Demo } from '../demo.test.fixture.js';
import {
  createServer,
  service,
  type HandlerContext,
  TtrpcError,
  Code,
  type ServerOptions,
} from '../index.js';
import { lending, streamPair } from '../memory-stream.test.fixture.js';
import { answer, outcome, rawFrame, RawPeer, rawRequest } from '../raw-peer.test.fixture.js';

/** A payload of one unknown bytes field, which has the same byte everywhere. */
function filled(byte: number, size: number): Buffer {
  const length: number[] = [];
  let rest = size;
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Uint8Array.from([0x7a, ...length, rest]), Buffer.alloc(size, byte)]);
}

/** The most bytes of a tag and a length. */
const lead = 4;

/** Reports whether all bytes of a payload's field are the same as `byte`; there are none in a view of memory that was given back. */
function has(payload: Uint8Array, byte: number): boolean {
  return payload.length === 0 || payload.subarray(lead).every((each) => each === byte);
}

function serveBorrowing(
  implementation: Parameters<typeof service<typeof Demo, string>>[1],
  options: Partial<ServerOptions<string>> = {},
) {
  return createServer<string>({
    services: [{ ...service<typeof Demo, string>(Demo, implementation), borrowing: ['Say'] }],
    ...options,
  });
}

const call = fc.record({
  connection: fc.nat({ max: 3 }),
  method: fc.constantFrom('Say', 'Read'),
  size: fc.oneof(fc.nat({ max: 5000 }), fc.integer({ min: 130_000, max: 600_000 })),
  turns: fc.nat({ max: 6 }),
  fails: fc.boolean(),
});

test('no byte of one call appears in another, however many connections and slow handlers there are', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 40 }), async (calls) => {
      const kept: {
        readonly view: Uint8Array;
        readonly size: number;
        readonly byte: number;
        readonly borrowed: boolean;
      }[] = [];
      const handle = async ({ payload, method }: HandlerContext<string>): Promise<number> => {
        const byte = payload.at(-1) ?? 0;
        const { turns, fails } = calls[byte] as (typeof calls)[number];
        kept.push({ view: payload, size: payload.length, byte, borrowed: method === 'Say' });
        for (let left = turns; left >= 0; left--) {
          assert.ok(has(payload, byte), 'bytes of another call while the handler runs');
          if (left > 0) await turn();
        }
        if (fails) throw new TtrpcError(Code.Aborted, String(byte));
        return byte;
      };
      const server = serveBorrowing({
        say: async (_, context) => ({ value: String(await handle(context)) }),
        read: async (_, context) => ({ value: Uint8Array.of(await handle(context)) }),
      });
      const peers = Array.from({ length: 4 }, (_, index) => {
        const [near, far] = streamPair();
        server.serve(index < 3 ? lending(far) : far, String(index));
        return new RawPeer(near);
      });
      for (const [byte, { connection, method, size }] of calls.entries())
        if (connection < 3) peers[connection]?.request(2 * byte + 1, method, filled(byte, size + 1));
      const together = calls.flatMap(({ connection, method, size }, byte) => {
        const request = rawRequest('demo.Demo', method, filled(byte, size + 1));
        return connection === 3 ? [rawFrame(2 * byte + 1, 1, 0, request)] : [];
      });
      if (together.length > 0) peers[3]?.stream.write(Buffer.concat(together));
      for (const [index, peer] of peers.entries()) {
        const mine = calls.flatMap((each, byte) => (each.connection === index ? [{ ...each, byte }] : []));
        for (const frame of await peer.take(mine.length)) {
          const byte = (frame.streamId - 1) / 2;
          const answered = outcome(frame);
          if (calls[byte]?.fails === true) assert.equal(answered, `10 ${byte}`);
          else assert.equal(answered.at(-1), calls[byte]?.method === 'Say' ? 48 + (byte % 10) : byte);
        }
      }
      for (const { view, size, byte, borrowed } of kept) {
        assert.ok(has(view, byte), 'bytes of another call in a view that was kept');
        assert.ok(view.length === size || (borrowed && view.length === 0));
      }
      server.close();
    }),
    { numRuns: 60 },
  );
});

test('the memory of a call whose deadline has passed is kept until its handler has ended', async () => {
  let proceed: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    proceed = resolve;
  });
  const views: Uint8Array[] = [];
  const server = serveBorrowing({
    say: async (_, { payload }) => {
      views.push(payload);
      if (views.length === 1) await gate;
      return {};
    },
  });
  const [near, far] = streamPair();
  server.serve(lending(far), 'peer');
  const peer = new RawPeer(near);
  const fiveMilliseconds = Uint8Array.from([0x20, 0xc0, 0x96, 0xb1, 0x02]);
  peer.send(1, 1, 0, Buffer.concat([rawRequest('demo.Demo', 'Say', filled(1, 200_000)), fiveMilliseconds]));
  assert.match(String(await answer(peer)), /^4 /);
  peer.request(3, 'Say', filled(2, 200_000));
  await peer.take(1);
  assert.ok(views[0] !== undefined && has(views[0], 1) && views[0].length > 200_000);
  proceed();
  await turn();
  await turn();
  assert.equal(views[0].length, 0);
  server.close();
});
