import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SilenceWatch } from './silence-watch.js';

test('a guest is silent after three heartbeats, of the length that it says; once more when it has left', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const events: unknown[] = [];
  const watch = new SilenceWatch({ onChange: (id, ms, isConnected) => events.push([id, ms, isConnected]) });
  const pass = (ms: number): readonly unknown[] => {
    t.mock.timers.tick(ms);
    return events.splice(0);
  };
  watch.connected('a');
  watch.connected('b');
  assert.deepEqual(pass(179_999), []);
  watch.heard('b', 60_000);
  assert.deepEqual(pass(1), [['a', 180_000, true]]);
  watch.heard('a', undefined);
  assert.deepEqual(pass(0), [['a', undefined, true]]);
  watch.heard('a', 1_000);
  assert.deepEqual(pass(2_999), []);
  assert.deepEqual(pass(1), [['a', 3_000, true]]);
  watch.left('b');
  assert.deepEqual(pass(176_999), [['b', 180_000, false]]);
  watch.heard('b', 60_000);
  watch.left('a');
  watch.connected('c');
  watch.stop();
  assert.deepEqual(pass(1_000_000), []);
});

for (const heartbeatMs of [2 ** 40, 3_600_001, 999, 0.001, -1, Number.NaN, Number.POSITIVE_INFINITY])
  test(`a guest that says a heartbeat of ${heartbeatMs} ms causes no flood of alerts`, (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const events: unknown[] = [];
    const watch = new SilenceWatch({ onChange: (id, ms) => events.push([id, ms]) });
    watch.connected('a');
    for (let record = 0; record < 1_000; record += 1) {
      watch.heard('a', heartbeatMs);
      t.mock.timers.tick(100);
    }
    assert.deepEqual(events, []);
    t.mock.timers.tick(180_000);
    assert.deepEqual(events, [['a', 180_000]]);
    watch.stop();
  });
