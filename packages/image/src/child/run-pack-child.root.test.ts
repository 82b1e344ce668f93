import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { confinementMounts, whyNotRoot, Workplace } from '../testing/unpacking.js';
import { childUsers } from './run-child.js';
import { packProgram, runPackChild } from './run-pack-child.js';

const MiB = 1024 * 1024;

function whyNot(): string | false {
  if (whyNotRoot !== false) return whyNotRoot;
  try {
    packProgram();
    return false;
  } catch (error) {
    if (process.env['CI'] === 'true') throw error;
    return String(error);
  }
}
const skip = whyNot();

/** A workplace with a root, and a directory for its image. */
function workplace(context: TestContext): { readonly place: Workplace; readonly target: string } {
  const place = new Workplace(context);
  const target = join(place.path, 'packed');
  mkdirSync(target, { mode: 0o700 });
  chownSync(target, childUsers.pack, childUsers.pack);
  return { place, target };
}

/** The lines of dump.erofs about a file of an image. */
function dumped(image: string, path: string): string {
  return execFileSync('dump.erofs', [`--path=${path}`, image], { encoding: 'utf8' });
}

test('a root is packed with owners and modes, also files that only root can read', {
  skip,
}, async (context) => {
  const { place, target } = workplace(context);
  const mounts = confinementMounts();
  mkdirSync(join(place.root, 'etc'));
  writeFileSync(join(place.root, 'etc/private'), 'x'.repeat(10_000), { mode: 0o600 });
  chownSync(join(place.root, 'etc/private'), 12, 13);
  utimesSync(join(place.root, 'etc/private'), 1_000_000_000, 1_000_000_000);
  symlinkSync('/etc/shadow', join(place.root, 'link'));
  const image = await runPackChild({
    source: place.root,
    target,
    maxBytes: 64 * MiB,
    milliseconds: 60_000,
  });
  assert.deepEqual(readdirSync(target), ['image.erofs']);
  assert.match(
    dumped(image, '/etc/private'),
    /Size: 10000 .*regular file[\s\S]*Uid: 12 +Gid: 13 +Access: 0600/,
  );
  assert.match(dumped(image, '/etc/private'), /Timestamp: 2001-09-09/);
  assert.match(dumped(image, '/link'), /symlink/);
  assert.deepEqual(confinementMounts(), mounts);
});

test('a guest without mkfs.erofs is told which package has it', () => {
  assert.throws(() => packProgram('/nowhere:/neither'), /^Error: mkfs\.erofs \(erofs-utils\).* is missing$/);
});

test('an image that is larger than the limit is an error that says so', { skip }, async (context) => {
  const { place, target } = workplace(context);
  writeFileSync(join(place.root, 'large'), Buffer.alloc(3 * MiB, 1));
  await assert.rejects(runPackChild({ source: place.root, target, maxBytes: MiB, milliseconds: 60_000 }), {
    code: 'space',
    message: /larger than max_size/,
  });
});

test('it is ended by its signal', { skip }, async (context) => {
  const { place, target } = workplace(context);
  const controller = new AbortController();
  const packing = runPackChild(
    { source: place.root, target, maxBytes: MiB, milliseconds: 60_000 },
    { signal: controller.signal },
  );
  controller.abort(new Error('the container is removed'));
  await assert.rejects(packing, /the container is removed/);
});

test('a target that its user cannot write is an error with what the program says', {
  skip,
}, async (context) => {
  const { place, target } = workplace(context);
  chownSync(target, 0, 0);
  await assert.rejects(runPackChild({ source: place.root, target, maxBytes: MiB, milliseconds: 60_000 }), {
    code: 'child',
    message: /^mkfs\.erofs ended with exit code \d+: .*Permission denied/,
  });
});
