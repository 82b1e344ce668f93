import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageQueue } from './stream.js';

function queueOf(limit = 1000) {
  const events: string[] = [];
  const owner = { full: () => events.push('full'), roomy: () => events.push('roomy') };
  const decode = (payload: Uint8Array): number => {
    if (payload[0] === 255) throw new Error('undecodable');
    return payload[0] ?? 0;
  };
  return { queue: new MessageQueue(decode, limit, owner), events };
}

async function all(queue: AsyncIterable<number>): Promise<number[]> {
  const out: number[] = [];
  for await (const value of queue) out.push(value);
  return out;
}

test('messages are read in order, queued or awaited', async () => {
  const { queue } = queueOf();
  queue.push(Uint8Array.of(1));
  const reading = all(queue);
  queue.push(Uint8Array.of(2));
  queue.push(Uint8Array.of(3));
  queue.end();
  queue.push(Uint8Array.of(4));
  assert.deepEqual(await reading, [1, 2, 3]);
});

test('an error ends the queue once, after the received messages', async () => {
  const { queue } = queueOf();
  queue.push(Uint8Array.of(1));
  queue.end(new Error('gone'));
  queue.end();
  assert.deepEqual(await queue.next(), { done: false, value: 1 });
  await assert.rejects(queue.next(), /gone/);
  assert.deepEqual(await queue.next(), { done: true, value: undefined });
});

test('pending reads are rejected with the error', async () => {
  const { queue } = queueOf();
  const first = queue.next();
  const second = queue.next();
  queue.discard(new Error('gone'));
  await assert.rejects(first, /gone/);
  assert.deepEqual(await second, { done: true, value: undefined });
});

test('discarding after the end does not look like a clean end', async () => {
  const { queue } = queueOf();
  queue.push(Uint8Array.of(1));
  queue.end();
  queue.discard(new Error('connection lost'));
  await assert.rejects(queue.next(), /connection lost/);
});

test('the queue is full above the limit and roomy below half of it; empty messages count', async () => {
  const { queue, events } = queueOf(1000);
  for (let count = 0; count < 7; count++) queue.push(new Uint8Array(0));
  assert.deepEqual(events, []);
  queue.push(new Uint8Array(0));
  assert.deepEqual(events, ['full']);
  for (let count = 0; count < 4; count++) await queue.next();
  assert.deepEqual(events, ['full']);
  await queue.next();
  assert.deepEqual(events, ['full', 'roomy']);
});

test('a reader that returns early frees the queue', async () => {
  const { queue, events } = queueOf(10);
  queue.push(Uint8Array.of(1));
  for await (const value of queue) {
    assert.equal(value, 1);
    queue.push(Uint8Array.of(2));
    break;
  }
  queue.push(Uint8Array.of(3));
  assert.deepEqual(events, ['full', 'roomy', 'full', 'roomy']);
  assert.deepEqual(await queue.next(), { done: true, value: undefined });
});

test('an undecodable message is an error at its position', async () => {
  const { queue } = queueOf();
  queue.push(Uint8Array.of(255));
  queue.push(Uint8Array.of(2));
  await assert.rejects(queue.next(), /undecodable/);
  assert.deepEqual(await queue.next(), { done: false, value: 2 });
});

test('thousands of messages are read in order', async () => {
  const { queue } = queueOf(1_000_000_000);
  for (let count = 0; count < 5000; count++) queue.push(Uint8Array.of(count % 250));
  queue.end();
  const out = await all(queue);
  assert.equal(out.length, 5000);
  assert.ok(out.every((value, index) => value === index % 250));
});
