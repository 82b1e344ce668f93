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
