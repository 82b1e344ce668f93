import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { callAtEnd } from './timeouts.js';

describe('the end of a connection', () => {
  it('is a timer of any length of the monotonic clock', () => {
    let now = 5000;
    const waits: number[] = [];
    let fire: (() => void) | undefined;
    const timers = {
      now: () => now,
      setTimeout: ((work: () => void, wait: number) => {
        waits.push(wait);
        fire = work;
        return { unref: () => 1 };
      }) as unknown as typeof setTimeout,
      clearTimeout: () => undefined,
    };
    let ended = 0;
    callAtEnd(100 * 365 * 86_400_000, () => (ended += 1), timers);
    for (let fired = 0; fired < waits.length; fired += 1) {
      assert.equal(ended, 0);
      now += waits[fired] ?? 0;
      fire?.();
    }
    assert.equal(ended, 1);
    assert.equal(now - 5000, 100 * 365 * 86_400_000);
    assert.ok(waits.every((wait) => wait > 0 && wait < 2 ** 31));
    assert.equal(waits.length, Math.ceil((100 * 365 * 86_400_000) / (2 ** 31 - 1)));
  });
});
