import assert from 'node:assert/strict';
import { closeSync, readdirSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { listenEventfd, loadSyscalls } from '../index.js';

test('each signal of an eventfd is reported, and no descriptor leaks', async (t) => {
  const alive = setInterval(() => undefined, 60_000);
  t.after(() => clearInterval(alive));
  const before = readdirSync('/proc/self/fd').length;
  const kernel = loadSyscalls();
  let ours = -1;
  let raised = (): void => undefined;
  const end = listenEventfd(
    kernel,
    (eventfd) => {
      ours = kernel.duplicate(eventfd);
    },
    () => raised(),
  );
  const one = Buffer.alloc(8);
  one.writeBigUInt64LE(1n);
  for (let round = 0; round < 3; round += 1) {
    const event = new Promise<void>((resolve) => {
      raised = resolve;
    });
    writeSync(ours, one);
    await event;
  }
  closeSync(ours);
  end();
  const isClosed = (): boolean => readdirSync('/proc/self/fd').length <= before;
  for (let turns = 0; turns < 1_000 && !isClosed(); turns += 1) await new Promise(setImmediate);
  // Node.js may close one of its own meanwhile.
  assert.ok(isClosed());
});

test('a failed registration leaks nothing', () => {
  const before = readdirSync('/proc/self/fd').length;
  const register = (): never => {
    throw new Error('no');
  };
  assert.throws(() => listenEventfd(loadSyscalls(), register, () => undefined), /no/);
  // Node.js may close one of its own meanwhile.
  assert.ok(readdirSync('/proc/self/fd').length <= before);
});
