import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import {
  lendingStream,
  type LendingStream,
  loadSyscalls,
  RecordingSyscalls,
  type Syscalls,
} from '../index.js';

interface Pair {
  /** The client's end. */
  readonly near: Socket;
  readonly accepted: Socket;
  readonly lending: LendingStream;
}

/** Returns a server for one test. `taken` is called in the turn that accepts a connection. */
async function serve(context: TestContext, taken: (accepted: Socket) => void): Promise<() => Socket> {
  const directory = mkdtempSync(join(tmpdir(), 'lending-'));
  const server = createServer({ allowHalfOpen: true }, taken);
  server.listen(join(directory, 's'));
  await once(server, 'listening');
  context.after(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });
  return () => connect({ path: join(directory, 's'), allowHalfOpen: true });
}

async function pairs(context: TestContext, count: number): Promise<readonly Pair[]> {
  const syscalls = loadSyscalls();
  const made: Omit<Pair, 'near'>[] = [];
  const open = await serve(context, (accepted) => {
    const lending = lendingStream(syscalls, accepted);
    assert.ok(lending);
    made.push({ accepted, lending });
  });
  const all: Pair[] = [];
  for (let index = 0; index < count; index += 1) {
    const near = open();
    await once(near, 'connect');
    while (made.length <= index) await turn();
    all.push({ near, ...(made[index] as Omit<Pair, 'near'>) });
  }
  context.after(() => {
    for (const { near, lending } of all) for (const each of [near, lending]) each.destroy();
  });
  return all;
}

test('each of many connections gets its bytes, in order, though all are read into the same memory', async (context) => {
  const all = await pairs(context, 8);
  const got = all.map((): Buffer[] => []);
  const sent = all.map((_, index) =>
    Buffer.from(Uint8Array.from({ length: 300_000 }, (__, at) => (at * (index + 3)) % 251)),
  );
  await Promise.all(
    all.map(async ({ near, lending }, index) => {
      lending.lendTo((bytes) => got[index]?.push(Buffer.from(bytes)));
      lending.resume();
      near.end(sent[index] ?? '');
      await once(lending, 'end');
    }),
  );
  for (const [index, parts] of got.entries()) assert.ok(Buffer.concat(parts).equals(sent[index] as Buffer));
});

test('nothing is lost before somebody takes it, and nothing is lent while it is paused', async (context) => {
  const [{ near, accepted, lending }] = (await pairs(context, 1)) as [Pair];
  assert.equal(accepted.destroyed, true);
  near.write('first');
  await delay(20);
  const got: string[] = [];
  lending.lendTo((bytes) => {
    got.push(Buffer.from(bytes).toString());
    lending.pause();
  });
  lending.resume();
  while (got.length < 1) await turn();
  near.write('second');
  await delay(20);
  assert.deepEqual(got, ['first']);
  lending.resume();
  while (got.length < 2) await turn();
  assert.deepEqual(got, ['first', 'second']);
});

test('a peer that has ended its side still gets the answer', async (context) => {
  const [{ near, lending }] = (await pairs(context, 1)) as [Pair];
  lending.lendTo(() => undefined);
  lending.resume();
  near.end('question');
  await once(lending, 'end');
  const closed = Promise.all([once(lending, 'close'), once(near, 'end')]);
  lending.end('answer');
  const [answer] = (await once(near, 'data')) as [Buffer];
  assert.equal(answer.toString(), 'answer');
  await closed;
});

for (const call of ['socketpair', 'dup3'] as const)
  test(`without ${call} the accepted stream is as it was, and no descriptor is left`, async (context) => {
    const syscalls: Syscalls & RecordingSyscalls = new RecordingSyscalls({}, loadSyscalls());
    syscalls.fail(call, 'EMFILE');
    const got: string[] = [];
    let descriptors: readonly [number, number] = [0, 0];
    const open = await serve(context, (accepted) => {
      const before = readdirSync('/proc/self/fd').length;
      assert.throws(() => lendingStream(syscalls, accepted), { code: 'EMFILE' });
      setImmediate(() => {
        descriptors = [before, readdirSync('/proc/self/fd').length];
      });
      accepted.on('data', (bytes) => got.push(bytes.toString()));
      accepted.once('end', () => accepted.end());
    });
    const near = open();
    near.end('bytes');
    near.resume();
    await once(near, 'close');
    assert.deepEqual(got, ['bytes']);
    assert.equal(descriptors[0], descriptors[1]);
  });

test('a stream that is already closed is not taken over', async (context) => {
  let taken: unknown = 'not called';
  const open = await serve(context, (accepted) => {
    accepted.destroy();
    taken = lendingStream(loadSyscalls(), accepted);
  });
  const near = open();
  near.resume();
  await once(near, 'end');
  near.destroy();
  assert.equal(taken, undefined);
});
