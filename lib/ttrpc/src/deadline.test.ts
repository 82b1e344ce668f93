import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deadline, timeoutFromWire, timeoutToWire } from './deadline.js';

test('any int64 of nanoseconds converts to milliseconds', () => {
  assert.equal(timeoutFromWire(0n), undefined);
  assert.equal(timeoutFromWire(1_500_000n), 1.5);
  assert.equal(timeoutFromWire(-1n), -1e-6);
  assert.equal(timeoutFromWire(2n ** 63n - 1n), 9_223_372_036_854.775);
});

test('milliseconds convert to an int64 that never means “no limit”', () => {
  assert.equal(timeoutToWire(undefined), 0n);
  assert.equal(timeoutToWire(1.5), 1_500_000n);
  assert.equal(timeoutToWire(1e-9), 1n);
  assert.equal(timeoutToWire(Number.MAX_VALUE), 2n ** 63n - 1n);
  assert.equal(timeoutToWire(Infinity), 2n ** 63n - 1n);
});

test('a deadline fires once, on time', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let fired = 0;
  const deadline = new Deadline(10.2, () => fired++);
  t.mock.timers.tick(10);
  assert.equal(fired, 0);
  t.mock.timers.tick(1);
  assert.equal(fired, 1);
  deadline.cancel();
});

test('a deadline beyond the range of setTimeout does not fire at once', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let time = 1000;
  t.mock.method(performance, 'now', () => time);
  const fired: string[] = [];
  const deadline = new Deadline(2 ** 31 + 5000, () => fired.push('late'));
  const canceled = new Deadline(2 ** 40, () => fired.push('never'));
  t.mock.timers.tick(2 ** 31 - 2);
  assert.deepEqual(fired, []);
  time += 2 ** 31 - 1;
  t.mock.timers.tick(1);
  canceled.cancel();
  t.mock.timers.tick(5000);
  assert.deepEqual(fired, []);
  t.mock.timers.tick(1);
  assert.deepEqual(fired, ['late']);
  deadline.cancel();
});
