import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { loadSyscalls, RecordingSyscalls } from '@kata-agent/linux';
import { isSetAside, removeAside, removeTree } from './remove-tree.js';
import { directMedia } from '../media-thread/direct-media.js';

function place(context: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'guest-remove-'));
  context.after(() => rmSync(root, { recursive: true }));
  const syscalls = new RecordingSyscalls({}, loadSyscalls());
  const log: string[] = [];
  const kata = join(root, 'kata');
  mkdirSync(join(kata, 'bundle/rootfs'), { recursive: true });
  writeFileSync(join(kata, 'bundle/rootfs/file'), '');
  const removal = {
    syscalls,
    media: directMedia(syscalls),
    paths: { kata },
    log: (level: string, message: string) => log.push(`${level}: ${message}`),
  };
  return { root, kata, bundle: join(kata, 'bundle'), syscalls, log, removal };
}

test('a directory is removed with its content; a missing one is not an error', async (context) => {
  const { kata, bundle, removal, log } = place(context);
  for (const path of [bundle, bundle, join(kata, 'no/bundle')]) await removeTree(path, removal);
  assert.deepEqual(readdirSync(kata), []);
  assert.deepEqual(log, []);
});

test('a directory that cannot be removed is renamed; the error has its new name', async (context) => {
  const { kata, bundle, syscalls, removal } = place(context);
  syscalls.fail('unlinkat', 'EIO');
  await assert.rejects(removeTree(bundle, removal), (error: Error) => {
    const [aside] = readdirSync(kata);
    assert.ok(aside !== undefined && isSetAside(aside));
    assert.ok(error.message.includes(`what is left of it is ${join(kata, aside)}`), error.message);
    return /EIO/.test(error.message);
  });
  mkdirSync(bundle);
  assert.ok(existsSync(join(kata, readdirSync(kata).find(isSetAside) ?? '', 'rootfs/file')));
});

test('a directory that is not removed in time is renamed, without an error', async (context) => {
  const { kata, bundle, removal, log } = place(context);
  await removeTree(bundle, { ...removal, paths: { kata: '/nowhere' }, signal: AbortSignal.abort() });
  const [aside, ...others] = readdirSync(kata);
  assert.ok(aside !== undefined && isSetAside(aside) && others.length === 0);
  assert.deepEqual(log, [
    `warn: ${bundle} is large: the rest, now ${join(kata, aside)}, is removed in the background`,
  ]);
});

test('removeAside renames a directory first', async (context) => {
  const { kata, bundle, removal, syscalls, log } = place(context);
  await removeAside(bundle, removal);
  assert.equal(existsSync(bundle), false);
  // Immediately, or in the background.
  while (readdirSync(kata).length > 0) await delay(50);
  await removeAside(bundle, removal);
  mkdirSync(join(bundle, 'rootfs'), { recursive: true });
  syscalls.fail('unlinkat', 'EIO');
  await removeAside(bundle, removal);
  const [aside, ...others] = readdirSync(kata);
  assert.ok(aside !== undefined && isSetAside(aside) && others.length === 0);
  assert.deepEqual(log, []);
});

test('links below Kata’s directory are not followed', async (context) => {
  const { root, kata, removal } = place(context);
  mkdirSync(join(root, 'outside/precious'), { recursive: true });
  symlinkSync(join(root, 'outside'), join(kata, 'link'));
  await assert.rejects(removeTree(join(kata, 'link/precious'), removal), /leads through a symbolic link/);
  assert.ok(existsSync(join(root, 'outside/precious')));
});
