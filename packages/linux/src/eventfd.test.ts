import assert from 'node:assert/strict';
import { closeSync, readdirSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { listenEventfd, loadSyscalls } from './index.js';

test('each rise of an eventfd is told, and nothing is left of it', async (t) => {
  const alive = setInterval(() => undefined, 60_000);
  t.after(() => clearInterval(alive));
  const before = readdirSync('/proc/self/fd').length;
  const kernel = loadSyscalls();
  let ours = -1;
  let told = (): void => undefined;
  const end = listenEventfd(
    kernel,
    (eventfd) => {
      ours = kernel.duplicate(eventfd);
    },
    () => told(),
  );
  const one = Buffer.alloc(8);
  one.writeBigUInt64LE(1n);
  for (let round = 0; round < 3; round += 1) {
    const event = new Promise<void>((resolve) => {
      told = resolve;
    });
    writeSync(ours, one);
    await event;
  }
  closeSync(ours);
  end();
  await new Promise(setImmediate);
  assert.equal(readdirSync('/proc/self/fd').length, before);
});

test('when nobody can register it, nothing is left', () => {
  const before = readdirSync('/proc/self/fd').length;
  const register = (): never => {
    throw new Error('no');
  };
  assert.throws(() => listenEventfd(loadSyscalls(), register, () => undefined), /no/);
  assert.equal(readdirSync('/proc/self/fd').length, before);
});
