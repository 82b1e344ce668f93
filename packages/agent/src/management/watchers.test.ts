import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Code } from '@kata-agent/ttrpc';
import type { Caller } from '../listeners/caller.js';
import { maxWatchers, Watchers } from './watchers.js';

function connectionTo(listener: string): Caller {
  return { listener, peer: 'cid 2', identity: { kind: 'unix', uid: 0 } };
}

function unexpected(): never {
  throw new Error('a watcher was replaced');
}

test('each listener has a limited number of watchers', () => {
  const watchers = new Watchers();
  const [leave] = Array.from({ length: maxWatchers }, () => watchers.add(connectionTo('tenant'), unexpected));
  const another = (): unknown => watchers.add(connectionTo('tenant'), unexpected);
  assert.throws(another, {
    code: Code.ResourceExhausted,
    message: /listener "tenant" has 4 watchers.*the limit; end one of them/,
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
  assert.deepEqual(ended, [0, 1, 2, 3], 'the newest goes on');
});
