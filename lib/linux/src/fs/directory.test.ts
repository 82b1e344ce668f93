import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import {
  Directory,
  loadSyscalls,
  Open,
  RecordingSyscalls,
  SyscallError,
  type Syscalls,
  UnsafePathError,
} from '../index.js';

const kernel = loadSyscalls();
/** Simulates a kernel before 5.6. */
const oldKernel = new RecordingSyscalls({}, kernel);
oldKernel.fail('openat2', 'ENOSYS');

interface Place {
  readonly base: string;
  readonly outside: string;
  readonly directory: Directory;
}

/** Creates a base directory to work below, next to a directory that must never change. */
function place(context: TestContext, syscalls: Syscalls): Place {
  const root = mkdtempSync(join(tmpdir(), 'directory-'));
  const base = join(root, 'base');
  const outside = join(root, 'outside');
  mkdirSync(base);
  mkdirSync(outside);
  writeFileSync(join(outside, 'canary'), 'alive');
  const before = readdirSync('/proc/self/fd').length;
  const directory = Directory.open(syscalls, base);
  context.after(() => {
    directory.close();
    // Node.js may close one of its own meanwhile.
    assert.ok(readdirSync('/proc/self/fd').length <= before, 'a descriptor was left open');
    assert.deepEqual(readdirSync(outside), ['canary']);
    assert.equal(readFileSync(join(outside, 'canary'), 'utf8'), 'alive');
    rmSync(root, { recursive: true });
  });
  return { base, outside, directory };
}

for (const [kind, syscalls] of [
  ['openat2', kernel],
  ['a kernel without openat2', oldKernel],
] as const) {
  test(`${kind}: creates, stats, moves and removes files, directories and links`, async (context) => {
    const { base, directory } = place(context, syscalls);
    directory.makeDirectory('a/b/c', { mode: 0o751 }).close();
    assert.equal(statSync(join(base, 'a/b/c')).mode & 0o7777, 0o751);
    const file = directory.file('a/b/file', Open.WriteOnly | Open.Create | Open.Exclusive, 0o640);
    writeSync(file.fd, 'text');
    file.close();
    directory.symlink('/etc/passwd', 'a/link');
    assert.equal(directory.readLink('a/link'), '/etc/passwd');
    assert.equal(directory.stat('a/link')?.isSymbolicLink(), true);
    assert.equal(directory.stat('a/b/file')?.size, 4);
    assert.equal(directory.stat('a/nothing'), undefined);
    assert.equal(directory.stat('nothing/file'), undefined);
    directory.rename('a/b/file', 'a/moved');
    assert.equal(readFileSync(join(base, 'a/moved'), 'utf8'), 'text');
    const a = directory.directory('a');
    assert.deepEqual(new Set(a.firstNamesHere(4).map(String)), new Set(['b', 'link', 'moved']));
    assert.equal(a.firstNamesHere(2).length, 2);
    assert.deepEqual(a.firstNamesHere(0), []);
    a.changeMode(0o700);
    assert.equal(statSync(a.path).mode & 0o7777, 0o700);
    a.close();
    directory.unlink('a/link');
    directory.removeDirectory('a/b/c');
    assert.throws(() => directory.unlink('a/b'), { code: 'EISDIR' });
    await directory.removeTree('a');
    await directory.removeTree('a');
    assert.deepEqual(readdirSync(base), []);
  });

  test(`${kind}: names need not be UTF-8`, async (context) => {
    const { base, directory } = place(context, syscalls);
    const name = Buffer.from([0x61, 0xff, 0xe9]);
    writeFileSync(Buffer.concat([Buffer.from(`${base}/`), name]), '');
    assert.deepEqual(directory.firstNamesHere(2), [name]);
  });

  test(`${kind}: no path is resolved through a link`, async (context) => {
    const { base, outside, directory } = place(context, syscalls);
    mkdirSync(join(base, 'real'));
    symlinkSync(outside, join(base, 'out'));
    symlinkSync('real', join(base, 'in'));
    symlinkSync(join(outside, 'canary'), join(base, 'file'));
    symlinkSync(join(outside, 'new'), join(base, 'dangling'));
    for (const link of ['out', 'in']) {
      const operations: readonly (() => unknown)[] = [
        () => directory.directory(link),
        () => directory.directory(`${link}/x`),
        () => directory.makeDirectory(link, { mode: 0o700 }),
        () => directory.makeDirectory(`${link}/x`, { mode: 0o700 }),
        () => directory.file(`${link}/canary`, Open.WriteOnly | Open.Create | Open.Truncate),
        () => directory.stat(`${link}/canary`),
        () => directory.symlink('x', `${link}/x`),
        () => directory.unlink(`${link}/canary`),
        () => directory.rename(`${link}/canary`, 'canary'),
        () => directory.rename('real', `${link}/real`),
        () => directory.makeNode(`${link}/fifo`, 0o010600, 0),
        () => directory.changeOwner(`${link}/canary`, 1, 1),
      ];
      for (const operation of operations)
        assert.throws(operation, UnsafePathError, `${link}: ${operation.toString()}`);
      await assert.rejects(directory.removeTree(`${link}/canary`), UnsafePathError);
    }
    for (const link of ['file', 'dangling', 'in']) {
      assert.throws(() => directory.file(link, Open.WriteOnly | Open.Create), UnsafePathError);
      assert.throws(() => directory.file(link, Open.ReadOnly), UnsafePathError);
    }
    await directory.removeTree('out');
    assert.equal(existsSync(join(base, 'out')), false);
  });

  test(`${kind}: other conflicts are the kernel's error`, (context) => {
    const { base, directory } = place(context, syscalls);
    writeFileSync(join(base, 'file'), '');
    assert.throws(() => directory.directory('nothing'), { code: 'ENOENT' });
    assert.throws(() => directory.directory('file'), { code: 'ENOTDIR' });
    assert.throws(() => directory.directory('file/x'), { code: 'ENOTDIR' });
    assert.throws(() => directory.makeDirectory('x/../y', { mode: 0o700 }), UnsafePathError);
    assert.throws(() => directory.makeDirectory('made/file/../x', { mode: 0o700 }), UnsafePathError);
    assert.throws(() => directory.makeDirectory('file/x', { mode: 0o700 }), { code: 'ENOTDIR' });
    assert.throws(() => directory.readLink('file'), { code: 'EINVAL' });
  });

  test(`${kind}: nothing outside the base changes, for any tree and path`, async (context) => {
    const { base, directory } = place(context, syscalls);
    const name = fc.constantFrom('a', 'b', 'c');
    const entry = fc.record({
      path: fc.array(name, { minLength: 1, maxLength: 3 }),
      // Link targets: outside by a relative or absolute path, inside, itself, through /proc.
      link: fc.constantFrom(
        undefined,
        undefined,
        '../outside',
        '../../outside',
        '..',
        'a',
        '/',
        `/proc/self/cwd`,
        join(base, '../outside'),
        '../outside/canary',
        '../outside/new',
      ),
    });
    const path = fc
      .array(fc.oneof(name, fc.constantFrom('..', '.', '', 'canary', 'outside', '/', '~')), { maxLength: 6 })
      .map((parts) => parts.join('/'));
    const operation = fc.constantFrom<(path: string) => unknown>(
      (path) => directory.makeDirectory(path, { mode: 0o700 }).close(),
      (path) => directory.file(path, Open.WriteOnly | Open.Create | Open.Truncate).close(),
      (path) => directory.symlink('../outside', path),
      (path) => directory.unlink(path),
      (path) => directory.rename(path, 'a'),
      (path) => directory.rename('a', path),
      (path) => directory.changeOwner(path, 7, 7),
      (path) => directory.removeTree(path),
    );
    const outside = join(base, '../outside');
    const unchanged = statSync(outside);
    await fc.assert(
      fc.asyncProperty(
        fc.array(entry, { maxLength: 8 }),
        fc.array(fc.tuple(operation, path)),
        async (tree, operations) => {
          for (const { path, link } of tree) tolerate(() => plant(base, path, link));
          for (const [operation, path] of operations) {
            try {
              await operation(path);
            } catch (error) {
              assert.ok(error instanceof UnsafePathError || error instanceof SyscallError, String(error));
            }
          }
          assert.deepEqual(readdirSync(outside), ['canary']);
          assert.equal(readFileSync(join(outside, 'canary'), 'utf8'), 'alive');
          const now = statSync(outside);
          assert.deepEqual(
            [now.uid, now.mode, now.mtimeMs],
            [unchanged.uid, unchanged.mode, unchanged.mtimeMs],
          );
          for (const left of readdirSync(base)) rmSync(join(base, left), { recursive: true });
        },
      ),
      { numRuns: 200 },
    );
  });
}

/** Adds a link or a directory to the tree by plain paths; conflicts are ignored. */
function plant(base: string, path: readonly string[], link: string | undefined): void {
  const parents = path.slice(0, -1);
  let at = base;
  for (const name of parents) {
    at = join(at, name);
    if (!existsSync(at)) mkdirSync(at);
    if (!lstatSync(at).isDirectory()) return;
  }
  if (link === undefined) mkdirSync(join(base, ...path));
  else symlinkSync(link, join(base, ...path));
}

/** Ignores a conflict with an earlier entry: the tree is only smaller. */
function tolerate(operation: () => void): void {
  try {
    operation();
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error, String(error));
  }
}

test('a FIFO, socket or directory is not opened as a file, and opening does not block', (context) => {
  const { base, directory } = place(context, kernel);
  directory.makeNode('fifo', 0o010600, 0);
  mkdirSync(join(base, 'directory'));
  assert.throws(() => directory.file('fifo', Open.ReadOnly), /is not a regular file/);
  assert.throws(() => directory.file('fifo', Open.WriteOnly), { code: 'ENXIO' });
  assert.throws(() => directory.file('directory', Open.ReadOnly), /is not a regular file/);
});

test('modes and owners are exact under any umask; existing directories keep theirs', (context) => {
  const { base, directory } = place(context, kernel);
  mkdirSync(join(base, 'old'), { mode: 0o700 });
  const umask = process.umask(0o077);
  context.after(() => process.umask(umask));
  const owner = process.getuid?.() === 0 ? { uid: 1234, gid: 4321 } : undefined;
  directory
    .makeDirectory('old/new/newer', { mode: 0o2775, ...(owner === undefined ? {} : { owner }) })
    .close();
  for (const made of ['old/new', 'old/new/newer']) {
    const { mode, uid, gid } = statSync(join(base, made));
    assert.equal(mode & 0o7777, 0o2775);
    if (owner !== undefined) assert.deepEqual({ uid, gid }, owner);
  }
  assert.equal(statSync(join(base, 'old')).mode & 0o7777, 0o700);
});

test('the path of an open directory stays valid when the directory is moved', (context) => {
  const { base, directory } = place(context, kernel);
  const made = directory.makeDirectory('a', { mode: 0o700 });
  directory.rename('a', 'b');
  writeFileSync(join(made.path, 'file'), '');
  assert.deepEqual(readdirSync(join(base, 'b')), ['file']);
  made.close();
  assert.throws(() => made.path, /already closed or taken/);
});

test('a tree deeper than PATH_MAX with names that are not UTF-8 is removed', async (context) => {
  const { base, directory } = place(context, kernel);
  let deepest = Directory.open(kernel, base);
  for (let depth = 0; depth < 2100; depth++) {
    const next = deepest.makeDirectory('d', { mode: 0o700 });
    deepest.close();
    deepest = next;
  }
  deepest.file('f', Open.WriteOnly | Open.Create).close();
  deepest.close();
  writeFileSync(Buffer.concat([Buffer.from(`${base}/`), Buffer.from([0xff, 0xfe, 0x41])]), '');
  mkdirSync(Buffer.concat([Buffer.from(`${base}/`), Buffer.from([0xc3, 0x28])]));
  directory.makeDirectory('all', { mode: 0o700 }).close();
  directory.rename('d', 'all/d');
  await directory.removeTree('all');
  assert.equal(readdirSync(base, { encoding: 'latin1' }).length, 2);
});

test('removing a tree yields to other work', async (context) => {
  const { base, directory } = place(context, kernel);
  mkdirSync(join(base, 'many'));
  for (let index = 0; index < 2000; index++) writeFileSync(join(base, 'many', String(index)), '');
  let turned = false;
  setImmediate(() => {
    turned = true;
    assert.ok(readdirSync(join(base, 'many')).length > 0);
  });
  await directory.removeTree('many');
  assert.ok(turned);
});

test('a directory that cannot be completed is an error and leaks no descriptor', (context) => {
  const { base } = place(context, kernel);
  const failing = new RecordingSyscalls({}, kernel);
  const directory = Directory.open(failing, base);
  failing.fail('fchownat', 'EPERM');
  const owner = { uid: 1, gid: 1 };
  assert.throws(() => directory.makeDirectory('a/b', { mode: 0o700, owner }), { code: 'EPERM' });
  failing.fail('mkdirat', 'EROFS');
  assert.throws(() => directory.makeDirectory('b', { mode: 0o700 }), { code: 'EROFS' });
  directory.close();
});

test('a tree moved away during removal is not followed', async (context) => {
  const { base, outside, directory: real } = place(context, kernel);
  real.makeDirectory('a/b/c', { mode: 0o700 }).close();
  const moving = new RecordingSyscalls({}, kernel);
  const directory = Directory.open(moving, base);
  moving.script('openat', (fd, path, flags, mode) => {
    // Simulates moving `b` out of `a` just before the walk goes up: `..` is another directory.
    if (path === '..') return kernel.openat(-100, outside, flags, mode);
    return kernel.openat(fd, path, flags, mode);
  });
  await assert.rejects(directory.removeTree('a'), /was moved during the walk/);
  directory.close();
  const refusing = new RecordingSyscalls({}, kernel);
  const other = Directory.open(refusing, base);
  refusing.fail('unlinkat', 'EACCES');
  await assert.rejects(other.removeTree('a'), { code: 'EACCES' });
  other.close();
});
