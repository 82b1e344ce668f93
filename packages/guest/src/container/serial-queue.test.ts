import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SerialQueue } from './serial-queue.js';

test('tasks never overlap, keep their order and survive a failure', async () => {
  const queue = new SerialQueue();
  const events: string[] = [];
  const task =
    (name: string, fails = false) =>
    async (): Promise<string> => {
      events.push(`${name} begins`);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      events.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    };
  const results = await Promise.allSettled([
    queue.run(task('a')),
    queue.run(task('b', true)),
    queue.run(task('c')),
  ]);
  assert.deepEqual(events, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
});
