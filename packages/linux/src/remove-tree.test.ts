import assert from 'node:assert/strict';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { At, Directory, loadSyscalls, Open, RecordingSyscalls, type Syscalls } from './index.js';

const kernel = loadSyscalls();

/** For removals that take as long as the machine takes. */
const patient = { signal: new AbortController().signal };

/** `base/tree` is what is removed, `outside` what must stay. */
function place(context: TestContext, syscalls: Syscalls = kernel) {
  const root = mkdtempSync(join(tmpdir(), 'remove-tree-'));
  const [base, outside] = [join(root, 'base'), join(root, 'outside')];
  mkdirSync(join(base, 'tree'), { recursive: true });
  mkdirSync(outside);
  writeFileSync(join(outside, 'canary'), 'alive');
  const directory = Directory.open(syscalls, base);
  const descriptors = readdirSync('/proc/self/fd').length;
  context.after(() => {
    assert.equal(readdirSync('/proc/self/fd').length, descriptors);
    directory.close();
    rmSync(root, { recursive: true });
  });
  return { base, outside, tree: join(base, 'tree'), directory };
}

/** Directories one in the other, each with a file, made by descriptor. */
function makeDeep(path: string, depth: number): void {
  mkdirSync(path, { recursive: true });
  let fd = kernel.openat(At.Cwd, path, Open.Path | Open.Directory);
  for (let level = 0; level < depth; level += 1) {
    kernel.mkdirat(fd, 'directory', 0o700);
    const inner = kernel.openat(fd, 'directory', Open.Path | Open.Directory);
    kernel.close(kernel.openat(inner, 'file', Open.WriteOnly | Open.Create, 0o600));
    kernel.close(fd);
    fd = inner;
  }
  kernel.close(fd);
}

/** Counts the turns of the event loop until `stop` is aborted. */
function countTurns(): { readonly turns: () => number; readonly stop: () => void } {
  let turns = 0;
  const over = new AbortController();
  const count = async (): Promise<void> => {
    for (; !over.signal.aborted; turns += 1) await setImmediate();
  };
  void count();
  return { turns: () => turns, stop: () => over.abort() };
}

test('a tree of 5,000 levels, each with a file, goes with few descriptors', async (context) => {
  const { base, tree, directory } = place(context);
  makeDeep(tree, 5_000);
  const before = readdirSync('/proc/self/fd').length;
  const removed = directory.removeTree('tree', patient);
  await setImmediate();
  assert.ok(readdirSync('/proc/self/fd').length < before + 6);
  await removed;
  assert.deepEqual(readdirSync(base), []);
});

test('other work has many turns while many files are removed, and while they are listed', async (context) => {
  const { base, tree, directory } = place(context);
  for (let index = 0; index < 20_000; index += 1) writeFileSync(join(tree, `file-${index}`), '');
  const counted = countTurns();
  await directory.removeTree('tree', patient);
  counted.stop();
  assert.deepEqual(readdirSync(base), []);
  assert.ok(counted.turns() > 5, `${counted.turns()} turns`);
});

test('removals at the same time share the turns: no turn has two slices', async (context) => {
  const { base, directory } = place(context);
  const names = Array.from({ length: 8 }, (_, index) => `tree/${index}`);
  for (const name of names) makeDeep(join(base, name), 100);
  const active = new Map<number, Set<string>>();
  const counted = countTurns();
  const observing = names.map(async (name) => {
    const syscalls = new RecordingSyscalls({}, kernel);
    syscalls.script('unlinkat', (fd, path, flags) => {
      const turn = counted.turns();
      active.set(turn, (active.get(turn) ?? new Set()).add(name));
      kernel.unlinkat(fd, path, flags);
    });
    const own = Directory.open(syscalls, base);
    await own.removeTree(name, patient).finally(() => own.close());
  });
  await Promise.all(observing);
  counted.stop();
  // A turn is counted by a callback that may run before or after a slice's: two turns may look like one, not more.
  assert.ok([...active.values()].every((walks) => walks.size <= 2));
  await directory.removeTree('tree', patient);
});

test('a large file is left to a thread, and a second name of it stays', async (context) => {
  const { base, outside, tree, directory } = place(context);
  writeFileSync(join(tree, 'large'), Buffer.alloc(40 * 1024 * 1024));
  writeFileSync(join(tree, 'sparse'), '');
  truncateSync(join(tree, 'sparse'), 2 ** 40);
  linkSync(join(tree, 'large'), join(outside, 'large'));
  const syscalls = new RecordingSyscalls({}, kernel);
  const watched = Directory.open(syscalls, base);
  await watched.removeTree('tree', patient).finally(() => watched.close());
  assert.ok(existsSync(join(outside, 'large')));
  const unlinked = syscalls
    .argumentsOf('unlinkat')
    .map(([, name]) => Buffer.from(name as string | Uint8Array).toString());
  assert.deepEqual(unlinked.sort(), ['sparse', 'tree']);
  await directory.removeTree('tree', patient);
});

test('somebody who moves directories about stops nothing and leads nowhere', async (context) => {
  const { base, outside, tree, directory } = place(context);
  for (const name of ['a', 'b', 'c']) makeDeep(join(tree, name), 300);
  let moves = 0;
  const over = new AbortController();
  // There and back, as long as there is a way.
  const [here, there] = [join(tree, 'a/directory/directory'), join(tree, 'b/moved')];
  const move = async (): Promise<void> => {
    for (; !over.signal.aborted; await setImmediate()) {
      const [from, to] = existsSync(here) ? [here, there] : [there, here];
      if (!existsSync(from) || !existsSync(dirname(to))) continue;
      renameSync(from, to);
      moves += 1;
    }
  };
  const moving = move();
  await directory.removeTree('tree', patient).finally(() => over.abort());
  await moving;
  assert.ok(moves > 0);
  assert.deepEqual(readdirSync(base), []);
  assert.deepEqual(readdirSync(outside), ['canary']);
});

test('a directory that is moved out while the walk is in it takes the walk nowhere else', async (context) => {
  const { base, outside, tree } = place(context);
  mkdirSync(join(tree, 'a/b'), { recursive: true });
  writeFileSync(join(tree, 'a/b/file'), '');
  const syscalls = new RecordingSyscalls({}, kernel);
  syscalls.script('unlinkat', (fd, path, flags) => {
    if (Buffer.from(path).toString() === 'file') renameSync(join(tree, 'a/b'), join(outside, 'b'));
    kernel.unlinkat(fd, path, flags);
  });
  const directory = Directory.open(syscalls, base);
  await directory.removeTree('tree', patient).finally(() => directory.close());
  assert.deepEqual(readdirSync(base), []);
  assert.deepEqual(readdirSync(outside).sort(), ['b', 'canary']);
});

test('what becomes a link when it is to be entered is not followed', async (context) => {
  const { base, outside, tree } = place(context);
  mkdirSync(join(tree, 'a'));
  const syscalls = new RecordingSyscalls({}, kernel);
  syscalls.script('openat2', (fd, path, how) => {
    if (Buffer.from(path).toString() === 'a') {
      rmSync(join(tree, 'a'), { recursive: true, force: true });
      symlinkSync(outside, join(tree, 'a'));
    }
    return kernel.openat2(fd, path, how);
  });
  const directory = Directory.open(syscalls, base);
  await directory.removeTree('tree', patient).finally(() => directory.close());
  assert.deepEqual(readdirSync(base), []);
  assert.deepEqual(readdirSync(outside), ['canary']);
});

test('what somebody fills again and again ends the removal, which names it', async (context) => {
  const { base, tree } = place(context);
  mkdirSync(join(tree, 'filled'));
  const syscalls = new RecordingSyscalls({}, kernel);
  let made = 0;
  syscalls.script('unlinkat', (fd, path, flags) => {
    if (Buffer.from(path).toString() === 'filled') writeFileSync(join(tree, 'filled', `${(made += 1)}`), '');
    kernel.unlinkat(fd, path, flags);
  });
  const directory = Directory.open(syscalls, base);
  await assert.rejects(
    directory.removeTree('tree', patient).finally(() => directory.close()),
    { code: 'ENOTEMPTY', message: /tree: filled is filled all the time/ },
  );
});

test('a removal that is given up ends with ETIMEDOUT, and can be begun again', async (context) => {
  const { base, tree, directory } = place(context);
  for (let index = 0; index < 5_000; index += 1) writeFileSync(join(tree, `file-${index}`), '');
  const controller = new AbortController();
  const removed = directory.removeTree('tree', { signal: controller.signal });
  controller.abort();
  await assert.rejects(removed, { code: 'ETIMEDOUT', message: /tree: not all of it/ });
  assert.ok(existsSync(tree));
  await directory.removeTree('tree', patient);
  assert.deepEqual(readdirSync(base), []);
});
