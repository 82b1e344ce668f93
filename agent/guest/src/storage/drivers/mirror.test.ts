import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Directory, loadSyscalls } from '@kata-agent/linux';
import { Mirror } from './mirror.js';
import { TooLargeToMirror } from '../../guest-error.js';

function place(context: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'guest-mirror-'));
  const [source, target] = [join(root, 'source'), join(root, 'target')];
  for (const directory of [source, target]) mkdirSync(directory);
  const [from, to] = [source, target].map((directory) => Directory.open(loadSyscalls(), directory));
  assert.ok(from !== undefined && to !== undefined);
  context.after(() => {
    from.close();
    to.close();
    rmSync(root, { recursive: true });
  });
  return { source, target, from, to };
}

test('Kata’s limit of entries applies to all directories together', async (context) => {
  const { source, target, from, to } = place(context);
  mkdirSync(join(source, 'inner'));
  for (let index = 0; index < 15; index += 1)
    writeFileSync(join(source, index < 8 ? 'inner' : '.', `${index}`), `${index}`);
  const mirror = new Mirror();
  assert.equal(await mirror.update(from, to), 16);
  assert.equal(readFileSync(join(target, 'inner/7'), 'utf8'), '7');
  writeFileSync(join(source, 'inner/one-more'), '');
  await assert.rejects(mirror.update(from, to), TooLargeToMirror);
  rmSync(join(source, 'inner/one-more'));
  assert.equal(await mirror.update(from, to), 0);
});

test('the directory itself gets mode and owner of its source, also when they change', async (context) => {
  const { source, target, from, to } = place(context);
  const isRoot = process.getuid?.() === 0;
  const owners = isRoot
    ? ([1234, 5678] as const)
    : ([process.getuid?.() ?? 0, process.getgid?.() ?? 0] as const);
  const mirror = new Mirror();
  for (const mode of [0o2750, 0o700, 0o777]) {
    lchownSync(source, ...owners);
    chmodSync(source, mode);
    await mirror.update(from, to);
    const { mode: found, uid, gid } = lstatSync(target);
    assert.deepEqual([(found & 0o7777).toString(8), uid, gid], [mode.toString(8), ...owners]);
  }
});

test('reading a directory stops at the limit', async (context) => {
  const { source, target, from, to } = place(context);
  for (let index = 0; index < 1_000; index += 1) writeFileSync(join(source, `${index}`), '');
  const read: number[] = [];
  const counting = Object.create(from, {
    firstNamesHere: {
      value: (limit: number) => {
        const names = from.firstNamesHere(limit);
        read.push(names.length);
        return names;
      },
    },
  }) as Directory;
  await assert.rejects(new Mirror().update(counting, to), TooLargeToMirror);
  assert.deepEqual(read, [17]);
  assert.deepEqual(readdirSync(target), []);
});

test('a dangling link is copied with its owner, and works once its target exists', async (context) => {
  const { source, target, from, to } = place(context);
  symlinkSync('late/key', join(source, 'key'));
  const root = process.getuid?.() === 0;
  if (root) lchownSync(join(source, 'key'), 1000, 1001);
  const mirror = new Mirror();
  await mirror.update(from, to);
  const { uid, gid } = lstatSync(join(target, 'key'));
  assert.equal(readlinkSync(join(target, 'key')), 'late/key');
  if (root) assert.deepEqual({ uid, gid }, { uid: 1000, gid: 1001 });
  mkdirSync(join(source, 'late'));
  writeFileSync(join(source, 'late/key'), 'value');
  await mirror.update(from, to);
  assert.equal(readFileSync(join(target, 'key'), 'utf8'), 'value');
});

test('links that leave the volume are not copied, however they are written; those of Kubernetes are', async (context) => {
  const { source, target, from, to } = place(context);
  mkdirSync(join(source, '..2026_12_01/inner'), { recursive: true });
  writeFileSync(join(source, '..2026_12_01/inner/key'), 'value');
  const links = {
    '..data': '..2026_12_01',
    key: '..data/inner/key',
    here: '.',
    '..2026_12_01/inner/up': '../../key',
    '..2026_12_01/inner/self': '../inner/./key',
    absolute: '/etc/passwd',
    parent: '..',
    above: '../other/secret',
    'through-link': 'here/../../etc/passwd',
    'down-and-up': '..2026_12_01/../../etc/passwd',
    'up-later': '..data/../key',
    '..2026_12_01/inner/far': '../../../etc/passwd',
    '..2026_12_01/inner/slashes': '..//..//../etc/passwd',
  };
  for (const [name, goal] of Object.entries(links)) symlinkSync(goal, join(source, name));
  const mirror = new Mirror();
  await mirror.update(from, to);
  // Node.js 22 follows links to directories, in a listing with subdirectories.
  const found = execFileSync('find', [target, '-type', 'l', '-printf', '%P\\n'], { encoding: 'utf8' });
  const copied = found.split('\n').slice(0, -1);
  assert.deepEqual(copied.sort(), [
    '..2026_12_01/inner/self',
    '..2026_12_01/inner/up',
    '..data',
    'here',
    'key',
  ]);
  assert.equal(readFileSync(join(target, 'key'), 'utf8'), 'value');
  // One that was copied and is changed to such a link is removed.
  rmSync(join(source, 'key'));
  symlinkSync('/etc/passwd', join(source, 'key'));
  await mirror.update(from, to);
  assert.ok(!readdirSync(target).includes('key'));
});

test('sockets and other entries count towards the limit, and are not copied', async (context) => {
  const { source, target, from, to } = place(context);
  const server = createServer().listen(join(source, 'socket'));
  await new Promise((resolve) => server.once('listening', resolve));
  writeFileSync(join(source, 'file'), '');
  const mirror = new Mirror();
  assert.equal(await mirror.update(from, to), 1);
  assert.deepEqual(readdirSync(target), ['file']);
  for (let index = 0; index < 15; index += 1) writeFileSync(join(source, `${index}`), '');
  await assert.rejects(mirror.update(from, to), TooLargeToMirror);
  server.close();
});

test('an update that is given up, at whatever step, changes nothing from there on', async (context) => {
  const { source, target, from, to } = place(context);
  mkdirSync(join(source, 'inner'));
  chmodSync(source, 0o750);
  for (const name of ['inner/file', 'file']) writeFileSync(join(source, name), 'older');
  symlinkSync('file', join(source, 'link'));
  const look = () =>
    readdirSync(target, { recursive: true, encoding: 'utf8' })
      .toSorted()
      .map((name) => {
        const path = join(target, name);
        const found = lstatSync(path);
        return [name, found.mode, found.isFile() ? readFileSync(path, 'utf8') : ''];
      });
  let steps = 0;
  for (let done = false; !done; steps += 1) {
    let left = steps;
    let seen: unknown;
    const commit = (): void => {
      if (left === 0) {
        seen = [lstatSync(target).mode, look()];
        throw new Error('given up');
      }
      left -= 1;
    };
    const update = new Mirror().update(from, to, undefined, commit);
    done = await update.then(
      () => true,
      () => false,
    );
    if (!done) assert.deepEqual([lstatSync(target).mode, look()], seen, `given up at step ${steps}`);
  }
  assert.equal(steps - 1, 6, 'the directory, two for each file, the links');
  assert.deepEqual(
    look().map(([name]) => name),
    ['file', 'inner', 'inner/file', 'link'],
  );
});
