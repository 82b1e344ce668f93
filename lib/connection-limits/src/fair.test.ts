import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FairQueue, FairSlots } from './fair.js';

test('one key does not keep places from others, and loses its newest', () => {
  const slots = new FairSlots({ total: 4 });
  const evicted: string[] = [];
  const take = (key: string, name = key): (() => void) | undefined =>
    slots.take(key, () => evicted.push(name));
  for (const name of ['a1', 'a2', 'a3', 'a4']) assert.ok(take('a', name));
  assert.equal(take('a'), undefined);
  assert.ok(take('b'));
  assert.ok(take('b'));
  assert.deepEqual(evicted, ['a4', 'a3']);
  // Both have two: a third place would only move the lack.
  assert.equal(take('b'), undefined);
  assert.ok(take('c'));
  assert.equal(evicted.length, 3);
});

test('with as many keys as places, each has one, and a further key has none', () => {
  const slots = new FairSlots({ total: 3 });
  const gone = (): never => assert.fail('evicted');
  const [first] = ['a', 'b', 'c'].map((key) => slots.take(key, gone));
  assert.equal(slots.take('d', gone), undefined);
  first?.();
  first?.();
  assert.ok(slots.take('d', gone));
  assert.equal(slots.take('e', gone), undefined);
});

test('a key has no more than its own places, and an evicted one gives none back', () => {
  const slots = new FairSlots({ total: 3, ofKey: 2 });
  const gives = [1, 2].map(() => slots.take('a', () => undefined));
  assert.equal(
    slots.take('a', () => undefined),
    undefined,
  );
  assert.ok(slots.take('b', () => undefined));
  assert.ok(slots.take('c', () => undefined));
  for (const give of gives) give?.();
  // One of the two of `a` was free already.
  assert.ok(slots.take('d', () => undefined));
  assert.equal(
    slots.take('e', () => undefined),
    undefined,
  );
});

/** A queue whose work ends on request. */
function held(ofKey: number) {
  const queue = new FairQueue(ofKey);
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const add = (name: string, isFirst = false): Promise<string> | undefined =>
    queue.run(
      name[0] ?? '',
      () => {
        begun.push(name);
        return new Promise<string>((resolve, reject) => {
          ends.push(() => (name.endsWith('!') ? reject(new Error(name)) : resolve(name)));
        });
      },
      isFirst,
    );
  const end = async (): Promise<void> => {
    ends.shift()?.();
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  return { add, begun, end };
}

test('keys take turns, the first one goes before, and failures end nothing', async () => {
  const { add, begun, end } = held(3);
  const added = (name: string, isFirst = false): Promise<string> => add(name, isFirst) ?? assert.fail(name);
  const all = ['a1', 'a2!', 'a3'].map((name) => added(name));
  assert.equal(add('a4'), undefined);
  all.push(added('b1'), added('c1'), added('s1', true));
  const settled = Promise.allSettled(all);
  for (let index = 0; index < 6; index += 1) await end();
  assert.equal(begun[0], 'a1');
  assert.equal(begun[1], 's1');
  assert.ok(begun.indexOf('a3') > begun.indexOf('b1'), begun.join());
  assert.ok(begun.indexOf('a3') > begun.indexOf('c1'), begun.join());
  assert.deepEqual(
    (await settled).map(({ status }) => status === 'fulfilled'),
    [true, false, true, true, true, true],
  );
  const again = add('a5');
  assert.ok(again !== undefined);
  await end();
  assert.equal(await again, 'a5');
});

test('work that begins as the last of its key ends is run', async () => {
  const queue = new FairQueue(1);
  const run = (value: string): Promise<string> =>
    queue.run('a', () => Promise.resolve(value)) ?? assert.fail('refused');
  const second = run('first').then(() => run('second'));
  const late = new Promise((resolve) => setTimeout(resolve, 1_000, 'late').unref());
  assert.equal(await Promise.race([second, late]), 'second');
});
