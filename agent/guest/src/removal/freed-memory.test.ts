import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FreedMemory } from './freed-memory.js';

test('freed memory is released once, a second after the last of several removals', ({ mock }) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  let released = 0;
  const memory = new FreedMemory({ releaseFreedMemory: () => void (released += 1) });
  memory.releaseSoon();
  mock.timers.tick(900);
  memory.releaseSoon();
  mock.timers.tick(900);
  assert.equal(released, 0);
  mock.timers.tick(100);
  assert.equal(released, 1);
  memory.releaseSoon();
  mock.timers.tick(1_000);
  assert.equal(released, 2);
});
