import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { At, Directory, loadSyscalls, mount, Open, unmountTree } from '@kata-agent/linux';
import { applyFsGroup } from './fs-group.js';
import { directMedia } from '../media-thread/direct-media.js';

const skip = process.getuid?.() === 0 || process.env['CI'] === 'true' ? false : 'chown(2) needs root';
const syscalls = loadSyscalls();
const group = 4321;

function volume(context: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'fs-group-'));
  const path = join(root, 'volume');
  mkdirSync(path);
  const base = Directory.open(syscalls, root);
  context.after(() => {
    base.close();
    unmountTree(syscalls, root);
    rmSync(root, { recursive: true });
  });
  const give = (changePolicy: 'always' | 'on-root-mismatch' = 'always', options: readonly string[] = []) =>
    applyFsGroup(
      {
        driver: 'bind',
        driverOptions: [],
        source: '',
        fstype: 'bind',
        options,
        mountPoint: path,
        shared: false,
        fsGroup: { groupId: group, changePolicy },
      },
      { base, place: 'volume', media: directMedia(syscalls) },
    );
  const at = (name: string) => {
    const { gid, mode } = lstatSync(join(path, name));
    return [gid, mode & 0o7777] as const;
  };
  return { root, path, give, at };
}

test('files and directories get the group, other entries are unchanged', { skip }, async (context) => {
  const { path, give, at } = volume(context);
  mkdirSync(join(path, 'directory'), { mode: 0o700 });
  writeFileSync(join(path, 'directory/file'), '', { mode: 0o600 });
  writeFileSync(join(path, 'setuid'), '');
  chmodSync(join(path, 'setuid'), 0o4755);
  symlinkSync('/etc', join(path, 'link'));
  assert.equal(spawnSync('mkfifo', [join(path, 'fifo')]).status, 0);
  const before = { link: at('link'), fifo: at('fifo'), target: lstatSync('/etc').gid };
  await give();
  assert.deepEqual(at('directory'), [group, 0o2770]);
  assert.deepEqual(at('directory/file'), [group, 0o660]);
  assert.deepEqual(at('setuid'), [group, 0o775]);
  assert.deepEqual(at('.'), [group, 0o2775]);
  assert.deepEqual({ link: at('link'), fifo: at('fifo'), target: lstatSync('/etc').gid }, before);
});

test('a read-only volume gets read access; a volume whose root matches is skipped', {
  skip,
}, async (context) => {
  const { path, give, at } = volume(context);
  writeFileSync(join(path, 'file'), '', { mode: 0o600 });
  await give('always', ['ro']);
  assert.deepEqual(at('file'), [group, 0o640]);
  chmodSync(join(path, 'file'), 0o600);
  await give('on-root-mismatch', ['ro']);
  assert.deepEqual(at('file'), [group, 0o600]);
});

test('the root is changed last, so that an interrupted walk is repeated', { skip }, async (context) => {
  const { path, give, at } = volume(context);
  mkdirSync(join(path, 'directory'));
  writeFileSync(join(path, 'directory/file'), '', { mode: 0o600 });
  const given = give('on-root-mismatch');
  assert.notEqual(at('.')[0], group);
  await given;
  assert.deepEqual(at('directory/file'), [group, 0o660]);
  assert.equal(at('.')[0], group);
});

test('mounts inside a volume are not changed', { skip }, async (context) => {
  const { root, path, give, at } = volume(context);
  for (const name of ['other', 'volume/inside']) mkdirSync(join(root, name));
  writeFileSync(join(root, 'other/file'), '', { mode: 0o600 });
  mount(syscalls, {
    source: join(root, 'other'),
    target: join(path, 'inside'),
    type: 'bind',
    options: ['private'],
  });
  await give();
  assert.equal(at('.')[0], group);
  assert.notEqual(at('inside/file')[0], group);
});

test('a very deep volume, and one with many files, do not block the event loop', {
  skip,
}, async (context) => {
  const { path, give, at } = volume(context);
  let fd = syscalls.openat(At.Cwd, path, Open.Path | Open.Directory);
  for (let level = 0; level < 3_000; level += 1) {
    syscalls.mkdirat(fd, 'd', 0o700);
    const inner = syscalls.openat(fd, 'd', Open.Path | Open.Directory);
    syscalls.close(fd);
    fd = inner;
  }
  for (let index = 0; index < 10_000; index += 1) writeFileSync(join(path, `${index}`), '', { mode: 0o600 });
  let turns = 0;
  const over = new AbortController();
  const count = async (): Promise<void> => {
    for (; !over.signal.aborted; turns += 1) await setImmediate();
  };
  void count();
  await give();
  over.abort();
  assert.deepEqual(at('9999'), [group, 0o660]);
  const deepest = lstatSync(`/proc/self/fd/${fd}/.`);
  syscalls.close(fd);
  assert.deepEqual([deepest.gid, deepest.mode & 0o7777], [group, 0o2770]);
  assert.ok(turns > 5, `${turns} turns`);
  const above = Directory.open(syscalls, join(path, '..'));
  await above.removeTree('volume').finally(() => above.close());
  mkdirSync(path);
});
