import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { confinementMounts, whyNotRoot, Workplace } from '../testing/unpacking.js';
import { type TriedCall, writeCallProgram } from '../testing/call-program.js';
import { childUsers, exitOf, startChild } from './run-child.js';
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

test('a guest without mkfs.erofs reports which package has it', () => {
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

const triedCalls: Readonly<Record<string, TriedCall>> = {
  // With CAP_DAC_READ_SEARCH any file of the guest's root, whose libraries it sees.
  open_by_handle_at: { number: 304 },
  'socket(AF_VSOCK)': { number: 41, values: [40, 1, 0] },
  'ptrace(PTRACE_ATTACH)': { number: 101, values: [16, 1, 0] },
  process_vm_writev: { number: 311, values: [1] },
  'kill(-1, 0)': { number: 62, values: [-1, 0] },
  pidfd_open: { number: 434, values: [1, 0] },
  'unshare(CLONE_NEWUSER)': { number: 272, values: [0x10000000] },
  bpf: { number: 321 },
  io_uring_setup: { number: 425 },
  'prlimit64(1)': { number: 302, values: [1, 0] },
  clone3: { number: 435 },
  vfork: { number: 58 },
  fork: { number: 57 },
  'clone(SIGCHLD)': { number: 56, values: [17] },
};

test('a program that was taken over opens no other file, has no socket, and reaches or leaves no process', {
  skip: skip || (process.arch !== 'x64' && 'the program is for x86_64'),
}, async (context) => {
  const { place, target } = workplace(context);
  const program = join(place.path, 'program');
  writeCallProgram(program, Object.values(triedCalls));
  const task = { name: 'pack', program, source: place.root, target } as const;
  const child = startChild({ task, fileSize: MiB, milliseconds: 60_000, threads: 1 }, {});
  const [printed] = await Promise.all([buffer(child.stderr ?? assert.fail()), exitOf(child)]);
  const outcomes = Object.fromEntries(
    Object.keys(triedCalls).map((name, index) => [name, printed[index] ?? 'nothing']),
  );
  const { ENOSYS, EPERM } = constants.errno;
  assert.deepEqual(outcomes, {
    ...Object.fromEntries(Object.keys(triedCalls).map((name) => [name, ENOSYS])),
    'prlimit64(1)': EPERM,
    'clone(SIGCHLD)': EPERM,
  });
});

test('a target that its user cannot write is an error with what the program says', {
  skip,
}, async (context) => {
  const { place, target } = workplace(context);
  chownSync(target, 0, 0);
  await assert.rejects(runPackChild({ source: place.root, target, maxBytes: MiB, milliseconds: 60_000 }), {
    code: 'child',
    // erofs-utils before 1.6 names the file and not the reason.
    message: /^mkfs\.erofs ended with exit code \d+: .*(?:Permission denied|failed to open)/,
  });
});
