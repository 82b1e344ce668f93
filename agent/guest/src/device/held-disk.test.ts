import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { GuestError } from '../guest-error.js';
import type { HostMedia } from '../media/host-media.js';
import { HeldDisk } from './held-disk.js';

const full = new GuestError('exhausted', '8 earlier calls still wait');

/** A disk whose close fails with each of these, and then succeeds. */
function held(...failures: readonly GuestError[]) {
  const left = [...failures];
  const closed: unknown[] = [];
  const warnings: string[] = [];
  let tries = 0;
  const run = async (name: string, args: unknown): Promise<void> => {
    tries += 1;
    const failure = left.shift();
    if (failure !== undefined) throw failure;
    closed.push([name, args]);
  };
  const context = {
    media: { run } as unknown as HostMedia,
    log: (_: string, message: string) => void warnings.push(message),
  };
  const disk = HeldDisk.of({ fd: 7, major: 254, minor: 0 }, '/dev/vda', context);
  return { disk, closed, warnings, tries: () => tries };
}

test('a disk that cannot be closed while too many calls wait for the host is closed later, once', async () => {
  const { disk, closed, tries } = held(full, full);
  await disk.close();
  assert.equal(tries(), 1, 'its call does not wait');
  assert.throws(() => disk.fd, /vda is closed/);
  await disk.close();
  while (closed.length === 0) await delay(10);
  await delay(0);
  assert.deepEqual([tries(), closed], [3, [['closeDisk', { fd: 7 }]]]);
});

test('a close that the host does not answer is left to its thread, and is not repeated', async () => {
  const { disk, closed, warnings, tries } = held(new GuestError('deadline', 'it did not answer'));
  await disk.close();
  assert.deepEqual([tries(), closed], [1, []]);
  assert.match(warnings.join(), /^closing \/dev\/vda: .*it did not answer$/);
});
