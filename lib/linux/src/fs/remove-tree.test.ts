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
import { At, Directory, loadSyscalls, Open, RecordingSyscalls, type Syscalls } from '../index.js';

const kernel = loadSyscalls();

/** Never aborted: for removals without a time limit. */
const patient = { signal: new AbortController().signal };

/** Creates `base/tree`, which is removed, and `outside`, which must remain. */
function place(context: TestContext, syscalls: Syscalls = kernel) {
  const root = mkdtempSync(join(tmpdir(), 'remove-tree-'));
  const [base, outside] = [join(root, 'base'), join(root, 'outside')];
  mkdirSync(join(base, 'tree'), { recursive: true });
  mkdirSync(outside);
  writeFileSync(join(outside, 'canary'), 'alive');
  const directory = Directory.open(syscalls, base);
  const descriptors = readdirSync('/proc/self/fd').length;
  context.after(() => {
    // Node.js may close one of its own meanwhile.
    assert.ok(readdirSync('/proc/self/fd').length <= descriptors, 'a descriptor was left open');
    directory.close();
    rmSync(root, { recursive: true });
  });
  return { base, outside, tree: join(base, 'tree'), directory };
}

/** Creates nested directories, each with a file, by descriptor. */
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

test('a tree of 5,000 levels, each with a file, is removed with few descriptors', async (context) => {
  const { base, tree, directory } = place(context);
  makeDeep(tree, 5_000);
  const before = readdirSync('/proc/self/fd').length;
  const removed = directory.removeTree('tree', patient);
  await setImmediate();
  assert.ok(readdirSync('/proc/self/fd').length < before + 6);
  await removed;
  assert.deepEqual(readdirSync(base), []);
});

test('removing and listing many files yields to other work', async (context) => {
  const { base, tree, directory } = place(context);
  for (let index = 0; index < 20_000; index += 1) writeFileSync(join(tree, `file-${index}`), '');
  const counted = countTurns();
  await directory.removeTree('tree', patient);
  counted.stop();
  assert.deepEqual(readdirSync(base), []);
  assert.ok(counted.turns() > 5, `${counted.turns()} turns`);
});

test('concurrent removals share turns: no turn has two slices', async (context) => {
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
  // The counting callback may run before or after a slice, so two turns may look like one, but not more.
  assert.ok([...active.values()].every((walks) => walks.size <= 2));
  await directory.removeTree('tree', patient);
});

test('a large file is removed in a thread, and its second name remains', async (context) => {
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

test('moving directories concurrently neither stops nor diverts the removal', async (context) => {
  const { base, outside, tree, directory } = place(context);
  for (const name of ['a', 'b', 'c']) makeDeep(join(tree, name), 300);
  let moves = 0;
  const over = new AbortController();
  // Moves the directory there and back while both paths exist.
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

test('a directory moved out during the walk does not divert it', async (context) => {
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

test('a directory replaced by a link before it is entered is not followed', async (context) => {
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

test('a directory that is refilled continually ends the removal with an error that names it', async (context) => {
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
    { code: 'ENOTEMPTY', message: /tree: filled is refilled continually/ },
  );
});

test('an aborted removal ends with ETIMEDOUT and can be restarted', async (context) => {
  const { base, tree, directory } = place(context);
  for (let index = 0; index < 5_000; index += 1) writeFileSync(join(tree, `file-${index}`), '');
  const controller = new AbortController();
  const removed = directory.removeTree('tree', { signal: controller.signal });
  controller.abort();
  await assert.rejects(removed, { code: 'ETIMEDOUT', message: /tree: removal timed out/ });
  assert.ok(existsSync(tree));
  await directory.removeTree('tree', patient);
  assert.deepEqual(readdirSync(base), []);
});
