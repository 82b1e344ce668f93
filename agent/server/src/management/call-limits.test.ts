import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Code } from '@kata-agent/ttrpc';
import type { Caller } from '../caller.js';
import { maxWatchers, OneAtATime, Watchers } from './call-limits.js';

function connectionTo(listener: string, uid = 0): Caller {
  return { listener, peer: `uid ${uid}`, identity: { kind: 'unix', uid } };
}

function operator(name: string): Caller {
  return { listener: 'realm', peer: name, identity: { kind: 'tls', subject: '', sans: [`uri:${name}`] } };
}

const server: Caller = {
  ...connectionTo('realm'),
  realm: { relay: 'operator-tls', openConnection: async () => undefined },
};

function unexpected(): never {
  throw new Error('a watcher was replaced');
}

test('an operator with all the watchers that it may have leaves places for others, and for the server', () => {
  const watchers = new Watchers();
  for (const name of ['mallory', 'mallory', 'mallory', 'mallory']) watchers.add(operator(name), unexpected);
  assert.throws(() => watchers.add(operator('mallory'), unexpected), { code: Code.ResourceExhausted });
  watchers.add(operator('alice'), unexpected);
  watchers.add(server, unexpected);
});

test('where all places of operators are taken, one with fewer gets one, and the server has its own', () => {
  const watchers = new Watchers();
  const ended: string[] = [];
  for (const name of ['a', 'b', 'c', 'd'])
    for (let n = 0; n < maxWatchers; n += 1)
      watchers.add(operator(name), (why) => ended.push(`${name} ${why}`));
  watchers.add(operator('alice'), unexpected);
  assert.deepEqual(ended, ['a crowded']);
  watchers.add(server, unexpected);
  assert.equal(ended.length, 1);
});

test('each caller of a listener has a limited number of watchers', () => {
  const watchers = new Watchers();
  const [leave] = Array.from({ length: maxWatchers }, () => watchers.add(connectionTo('tenant'), unexpected));
  const another = (): unknown => watchers.add(connectionTo('tenant'), unexpected);
  assert.throws(another, {
    code: Code.ResourceExhausted,
    message: /the caller has 4 watchers .* on listener "tenant".*the limit; end one of them/,
  });
  watchers.add(connectionTo('host'), unexpected);
  leave?.();
  another();
});

test('a connection has one watcher: the newest', () => {
  const watchers = new Watchers();
  const connection = connectionTo('tenant');
  const ended: number[] = [];
  for (let n = 0; n < 20; n += 1) {
    const leave = watchers.add(connection, () => {
      ended.push(n);
      leave();
    });
  }
  assert.deepEqual(
    ended,
    Array.from({ length: 19 }, (_, n) => n),
  );
});

test('replaced watchers that cannot end still count', () => {
  const watchers = new Watchers();
  const connection = connectionTo('tenant');
  const ended: number[] = [];
  for (let n = 0; n <= maxWatchers; n += 1) watchers.add(connection, () => ended.push(n));
  assert.throws(() => watchers.add(connection, unexpected), { code: Code.ResourceExhausted });
  assert.deepEqual(ended, [0, 1, 2, 3], 'the newest continues');
});

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
