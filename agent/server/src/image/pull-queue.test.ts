import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { PullQueue, type PullQueueLimits } from './pull-queue.js';

/** A queue for two pulls at once and two that wait. */
class Queue {
  readonly begun: string[] = [];
  readonly #queue = new PullQueue({ atOnce: 2, waiting: 2 });
  readonly #ends = new Map<string, (error?: Error) => void>();

  readonly #work = (name: string) => (): Promise<string> => {
    this.begun.push(name);
    return new Promise((resolve, reject) => {
      this.#ends.set(name, (error) => (error === undefined ? resolve(name) : reject(error)));
    });
  };

  resume(name: string, signal: AbortSignal = new AbortController().signal): Promise<string> {
    const result = this.#queue.resume(this.#work(name), signal);
    result.catch(() => undefined);
    return result;
  }

  run(name: string, signal: AbortSignal = new AbortController().signal): Promise<string> {
    const refusal = ({ atOnce, waiting }: PullQueueLimits): Error => new Error(`${atOnce} and ${waiting}`);
    const result = this.#queue.run(this.#work(name), { signal, refusal });
    // Each test looks at the results that it is about.
    result.catch(() => undefined);
    return result;
  }

  async end(name: string, error?: Error): Promise<void> {
    this.#ends.get(name)?.(error);
    await turn();
  }
}

test('two pulls run at once, the next ones in the order of their calls, and a failure gives its place back, too', async () => {
  const queue = new Queue();
  const results = ['a', 'b', 'c', 'd'].map((name) => queue.run(name));
  await turn();
  assert.deepEqual(queue.begun, ['a', 'b']);
  await queue.end('b', new Error('failed'));
  assert.deepEqual(queue.begun, ['a', 'b', 'c']);
  // The place of one that ended is the next one's, whatever is called meanwhile.
  results.push(queue.run('e'));
  await queue.end('a');
  assert.deepEqual(queue.begun, ['a', 'b', 'c', 'd']);
  for (const name of ['c', 'd', 'e']) await queue.end(name);
  const ended = await Promise.allSettled(results);
  assert.deepEqual(
    ended.map((each) => (each.status === 'fulfilled' ? each.value : each.status)),
    ['a', 'rejected', 'c', 'd', 'e'],
  );
});

test('a pull beyond those that wait is refused, and not once there is a place again', async () => {
  const queue = new Queue();
  for (const name of ['a', 'b', 'c', 'd']) queue.run(name).catch(() => undefined);
  await assert.rejects(queue.run('e'), /^Error: 2 and 2$/);
  await queue.end('a');
  const late = queue.run('f');
  for (const name of ['b', 'c', 'd']) await queue.end(name);
  await queue.end('f');
  assert.equal(await late, 'f');
});

test('a pull that waits ends with its signal, and its place is free', async () => {
  const queue = new Queue();
  const controller = new AbortController();
  for (const name of ['a', 'b']) queue.run(name).catch(() => undefined);
  const waits = queue.run('c', controller.signal);
  queue.run('d').catch(() => undefined);
  controller.abort(new Error('the container was removed'));
  await assert.rejects(waits, /the container was removed/);
  queue.run('e').catch(() => undefined);
  await queue.end('a');
  await queue.end('b');
  assert.deepEqual(queue.begun, ['a', 'b', 'd', 'e']);
  await assert.rejects(queue.run('f', controller.signal), /the container was removed/);
  // A signal of a pull that runs is its own business.
  for (const name of ['d', 'e']) await queue.end(name);
  const running = new AbortController();
  const result = queue.run('g', running.signal);
  await turn();
  running.abort(new Error('too late'));
  await queue.end('g');
  assert.equal(await result, 'g');
});

test('a pull that had its turn continues before those that wait, and is not refused', async () => {
  const queue = new Queue();
  for (const name of ['a', 'b', 'c', 'd']) queue.run(name).catch(() => undefined);
  const controller = new AbortController();
  const aborted = queue.resume('x', controller.signal);
  const packed = queue.resume('a, packed');
  controller.abort(new Error('the container was removed'));
  await assert.rejects(aborted, /the container was removed/);
  await queue.end('a');
  assert.deepEqual(queue.begun, ['a', 'b', 'a, packed']);
  await queue.end('a, packed');
  assert.equal(await packed, 'a, packed');
  assert.deepEqual(queue.begun, ['a', 'b', 'a, packed', 'c']);
});
