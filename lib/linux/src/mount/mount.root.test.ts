import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  loadSyscalls,
  mount,
  MountFlag,
  mounts,
  RecordingSyscalls,
  mountsBelow,
  unmountTree,
} from '../index.js';

// With CI=true a missing prerequisite fails the tests that need it instead of skipping them.
const skip = process.getuid?.() === 0 || process.env.CI === 'true' ? false : 'mount(2) needs root';
const syscalls = loadSyscalls();

function workplace(context: TestContext): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'mount ')));
  context.after(() => {
    unmountTree(syscalls, path);
    rmSync(path, { recursive: true });
  });
  return path;
}

test('stacked, nested and busy mounts are listed and unmounted', { skip }, (context) => {
  const place = workplace(context);
  const target = join(place, 'target one');
  mkdirSync(target);
  mount(syscalls, { source: 'outer', target, type: 'tmpfs', options: ['nosuid', 'size=64k', 'private'] });
  mkdirSync(join(target, 'inner')); // hidden by the stacked mount below
  mount(syscalls, { source: 'inner', target: join(target, 'inner'), type: 'tmpfs', options: ['size=64k'] });
  mount(syscalls, { source: 'stacked', target, type: 'tmpfs', options: ['size=64k'] });
  mkdirSync(join(target, 'below'));
  mount(syscalls, { source: target, target: join(target, 'below'), type: 'bind', options: ['ro', 'nodev'] });

  const below = mountsBelow(place, mounts());
  assert.equal(below.length, 4);
  const bound = below.find((each) => each.target === join(target, 'below'));
  assert.ok(bound?.options.includes('ro') && bound.options.includes('nodev'));
  assert.throws(() => writeFileSync(join(target, 'below', 'file'), ''), { code: 'EROFS' });

  const previous = process.cwd();
  process.chdir(target); // busy: plain umount(2) would fail with EBUSY
  unmountTree(syscalls, place);
  process.chdir(previous);
  assert.deepEqual(mountsBelow(place, mounts()), []);
  rmdirSync(target);
});

test('a bind mount whose later step fails leaves nothing mounted', { skip }, (context) => {
  const place = workplace(context);
  for (const name of ['from', 'to']) mkdirSync(join(place, name));
  const refusing = new RecordingSyscalls(
    {
      // Shared and private at once: the kernel rejects two propagation types with EINVAL.
      mount: (source, target, type, flags, data) =>
        syscalls.mount(source, target, type, source === '' ? flags | MountFlag.Shared : flags, data),
    },
    syscalls,
  );
  const request = {
    source: join(place, 'from'),
    target: join(place, 'to'),
    type: 'bind',
    options: ['rprivate'],
  };
  assert.throws(() => mount(refusing, request), { code: 'EINVAL' });
  assert.deepEqual(mountsBelow(place, mounts()), []);
});

test('an unknown filesystem is the kernel’s error with the target in it', { skip }, (context) => {
  const target = workplace(context);
  assert.throws(() => mount(syscalls, { source: 'x', target, type: 'nosuchfs', options: [] }), {
    code: 'ENODEV',
    path: target,
  });
});
