import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  Directory,
  loadSyscalls,
  mount,
  MountAttribute,
  mounts,
  MountTree,
  UnsafePathError,
  unmountTree,
} from '../index.js';

// With CI=true a missing prerequisite fails the tests that need it instead of skipping them.
const skip = process.getuid?.() === 0 || process.env['CI'] === 'true' ? false : 'mount(2) needs root';
const syscalls = loadSyscalls();

/** Mounts a filesystem, shared like the mounts that systemd makes in a guest, with a private submount. */
function sharedPlace(context: TestContext): string {
  const place = realpathSync(mkdtempSync(join(tmpdir(), 'tree-')));
  context.after(() => {
    unmountTree(syscalls, place);
    rmSync(place, { recursive: true });
  });
  mount(syscalls, { source: 'place', target: place, type: 'tmpfs', options: ['size=1m', 'shared'] });
  for (const name of ['from', 'private']) mkdirSync(join(place, name));
  const target = join(place, 'private');
  mount(syscalls, { source: 'private', target, type: 'tmpfs', options: ['size=1m', 'private'] });
  mkdirSync(join(target, 'to'));
  return place;
}

function copyTo(place: string, recursive: boolean, attributes = 0): void {
  const base = Directory.open(syscalls, place);
  const from = base.place('from');
  const to = base.place('private/to');
  const tree = MountTree.copy(syscalls, from.fd, { recursive });
  tree.restrict(attributes);
  tree.attach(to.fd);
  for (const each of [tree, from, to, base]) each.close();
}

test('mounts and unmounts on the original do not propagate to a copy', { skip }, (context) => {
  const place = sharedPlace(context);
  mkdirSync(join(place, 'from', 'inner'));
  copyTo(place, true);
  mount(syscalls, {
    source: 'late',
    target: join(place, 'from', 'inner'),
    type: 'tmpfs',
    options: ['size=1m'],
  });
  writeFileSync(join(place, 'from', 'inner', 'late'), '');
  assert.deepEqual(readdirSync(join(place, 'private/to', 'inner')), []);
  // And mounts in the copy do not propagate back.
  mount(syscalls, {
    source: 'own',
    target: join(place, 'private/to', 'inner'),
    type: 'tmpfs',
    options: ['size=1m'],
  });
  writeFileSync(join(place, 'private/to', 'inner', 'own'), '');
  assert.deepEqual(readdirSync(join(place, 'from', 'inner')), ['late']);
  const copy = mounts().filter(({ target }) => target.startsWith(join(place, 'private/to')));
  assert.deepEqual(
    copy.map(({ target }) => target.slice(place.length)),
    ['/private/to', '/private/to/inner'],
  );
});

test('submounts are copied on request and are private too', { skip }, (context) => {
  const place = sharedPlace(context);
  mkdirSync(join(place, 'from', 'inner'));
  mount(syscalls, {
    source: 'early',
    target: join(place, 'from', 'inner'),
    type: 'tmpfs',
    options: ['size=1m', 'shared'],
  });
  copyTo(place, true, MountAttribute.ReadOnly | MountAttribute.NoDev);
  const below = mounts().filter(({ target }) => target.startsWith(join(place, 'private/to')));
  assert.equal(below.length, 2);
  for (const { options, propagation } of below) {
    assert.ok(options.includes('ro') && options.includes('nodev'));
    assert.deepEqual(propagation, []);
  }
  assert.throws(() => writeFileSync(join(place, 'private/to', 'inner', 'file'), ''), { code: 'EROFS' });
});

test('a copy is of the mount its descriptor was opened on, whatever is mounted there since', {
  skip,
}, (context) => {
  const place = sharedPlace(context);
  writeFileSync(join(place, 'from', 'right'), '');
  const base = Directory.open(syscalls, place);
  const from = base.place('from');
  const to = base.place('private/to');
  renameSync(join(place, 'from'), join(place, 'moved'));
  mkdirSync(join(place, 'from'));
  const tree = MountTree.copy(syscalls, from.fd, { recursive: false });
  tree.attach(to.fd);
  for (const each of [tree, from, to, base]) each.close();
  assert.deepEqual(readdirSync(join(place, 'private/to')), ['right']);
});

test('a base limited to one mount does not reach another', { skip }, (context) => {
  const place = sharedPlace(context);
  mkdirSync(join(place, 'from', 'foreign'));
  mkdirSync(join(place, 'from', 'own'));
  mount(syscalls, {
    source: 'x',
    target: join(place, 'from', 'foreign'),
    type: 'tmpfs',
    options: ['size=1m'],
  });
  writeFileSync(join(place, 'from', 'foreign', 'file'), '');
  const base = Directory.open(syscalls, join(place, 'from'), { sameMount: true });
  context.after(() => base.close());
  base.place('own').close();
  const refused = (operation: () => unknown): void => assert.throws(operation, UnsafePathError);
  refused(() => base.place('foreign'));
  refused(() => base.directory('foreign'));
  refused(() => base.directory('foreign/deeper'));
  refused(() => base.file('foreign/file', 0));
  refused(() => base.makeDirectory('foreign/new', { mode: 0o755 }));
  refused(() => base.stat('foreign/file'));
  assert.deepEqual(readdirSync(join(place, 'from', 'foreign')), ['file']);
  const made = base.makeDirectory('own/new', { mode: 0o755 });
  refused(() => made.directory('../../foreign'));
  made.close();
});
