import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
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

test('one that is closed does what was asked for before, and no more', async () => {
  const queue = new SerialQueue();
  const before = queue.run(async () => 'done');
  queue.close(() => new Error('closed'));
  await assert.rejects(
    queue.run(async () => assert.fail('it ran')),
    /closed/,
  );
  assert.equal(await before, 'done');
});

test('Node does not end before a task has', () => {
  const module = JSON.stringify(new URL('serial-queue.js', import.meta.url).href);
  const program = `
    import { SerialQueue } from ${module};
    void new SerialQueue().run(() => new Promise((resolve) => {
      setTimeout(resolve, 100).unref();
    })).then(() => console.log('done'));
  `;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
  });
  assert.equal(output, 'done\n');
});
