import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Code } from '@kata-agent/ttrpc';
import { OneAtATime } from './one-at-a-time.js';

const caller = { listener: 'l', identity: { kind: 'unix', uid: 1 } } as const;
const other = { listener: 'l', identity: { kind: 'unix', uid: 2 } } as const;

test('work is done in turn, also after a failure, and a queue that is too long is refused', async () => {
  const turns = new OneAtATime();
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const work = (index: number) => (): Promise<number> => {
    begun.push(index);
    return new Promise((resolve, reject) =>
      ends.push(() => (index === 1 ? reject(new Error('failed')) : resolve(index))),
    );
  };
  const all = Array.from({ length: 8 }, (_, index) => turns.run(caller, work(index)));
  await assert.rejects(turns.run(caller, work(8)), { code: Code.ResourceExhausted });
  // Another caller does not wait behind all of it.
  const late = turns.run(other, async () => begun.length);
  const settled = Promise.allSettled(all);
  for (let index = 0; index < 8; index += 1) {
    while (ends.length === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(begun.at(-1), index);
    assert.equal(begun.length, index + 1);
    ends.shift()?.();
  }
  assert.deepEqual(
    (await settled).map(({ status }) => status === 'fulfilled'),
    [true, false, true, true, true, true, true, true],
  );
  assert.equal(await late, 1);
  const again = turns.run(caller, work(9));
  while (ends.length === 0) await new Promise((resolve) => setImmediate(resolve));
  ends.shift()?.();
  assert.equal(await again, 9);
});
