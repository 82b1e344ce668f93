import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { loadSyscalls } from '@kata-agent/linux';
import { mountingIn, withMountDirectory } from './mount-directory.js';
import { directMedia } from '../media-thread/direct-media.js';

test('however many calls fail, one look is pending, which removes what came late and nothing that is in use', async (t) => {
  const state = mkdtempSync(join(tmpdir(), 'kata-agent-test-'));
  t.after(() => rmSync(state, { recursive: true, force: true }));
  const syscalls = loadSyscalls();
  const context = {
    syscalls,
    media: directMedia(syscalls),
    paths: { state, kata: join(state, 'kata') },
    log: () => undefined,
  };
  const parent = mountingIn(context.paths);
  mkdirSync(parent);
  const timers = t.mock.method(globalThis, 'setTimeout');
  const failed: string[] = [];
  for (let call = 0; call < 50; call += 1)
    await assert.rejects(
      withMountDirectory(context, (directory) => {
        failed.push(directory);
        return Promise.reject(new Error('too late'));
      }),
    );
  const looks = timers.mock.calls.filter(({ arguments: [, ms] }) => ms === 1_000);
  assert.equal(looks.length, 1);
  assert.deepEqual(readdirSync(parent), []);
  for (const directory of failed) mkdirSync(join(directory, 'rootfs'), { recursive: true });
  await withMountDirectory(context, async (directory) => {
    for (let look = 0; look < 200 && readdirSync(parent).length > 1; look += 1) await delay(50);
    assert.deepEqual(readdirSync(parent), [directory.slice(parent.length + 1)]);
  });
});
