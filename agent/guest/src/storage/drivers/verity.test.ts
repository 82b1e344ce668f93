import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { RecordingSyscalls, SyscallError } from '@kata-agent/linux';
import { UndoStack } from '../../undo-stack.js';
import { KataOptions } from '../kata-options.js';
import { openVerity, verityName, verityOf } from './verity.js';
import { type Verity, verityTable } from './verity-table.js';
import { directMedia } from '../../media-thread/direct-media.js';

const rootHash = 'ab'.repeat(32);
const enabled = 'X-kata.dmverity-enabled=true';
const requested = ['ro', enabled, `X-kata.dmverity.roothash=${rootHash}`];
/** A device node that every machine has: number 1:3. */
const disk = '/dev/null';
const number = { major: 1, minor: 3 };

function verityFrom(...options: readonly string[]): Verity | undefined {
  return verityOf(KataOptions.parse(options, 'disk'));
}

function given(...options: readonly string[]): Verity {
  const verity = verityFrom(...requested, ...options);
  assert.ok(verity !== undefined);
  return verity;
}

test('a storage without the options has no dm-verity', () => {
  assert.equal(verityFrom('ro'), undefined);
});

test('the options become the table of the kernel, as of Kata: the superblock is skipped and not read', () => {
  const offset = 'X-kata.dmverity.hashoffset=8192';
  assert.equal(verityTable(number, given(offset)).parameters, `1 1:3 1:3 4096 4096 2 3 sha256 ${rootHash} -`);
  const bare = given(offset, 'X-kata.dmverity.no-superblock=true', 'X-kata.dmverity.salt=00ff');
  assert.equal(verityTable(number, bare).parameters, `1 1:3 1:3 4096 4096 2 2 sha256 ${rootHash} 00ff`);
  const small = given(
    offset,
    'X-kata.dmverity.no-superblock=false',
    'X-kata.dmverity.hashsize=512',
    'X-kata.dmverity.blocksize=1024',
    'X-kata.dmverity.hashtype=0',
    'X-kata.dmverity.salt=-',
  );
  assert.equal(verityTable(number, small).parameters, `0 1:3 1:3 1024 512 8 17 sha256 ${rootHash} -`);
  const long = verityFrom(
    enabled,
    offset,
    `X-kata.dmverity.roothash=${'cd'.repeat(64)}`,
    'X-kata.dmverity.algorithm=sha512',
  );
  assert.ok(long !== undefined);
  assert.match(verityTable(number, long).parameters, / sha512 (?:cd){64} -$/);
});

test('the algorithm is sha256, sha384 or sha512, in lower case, and blocks have 512 to 4096 bytes', () => {
  const digits = { sha256: 64, sha384: 96, sha512: 128 };
  const offset = 'X-kata.dmverity.hashoffset=8192';
  for (const [algorithm, length] of Object.entries(digits)) {
    const of = (...more: readonly string[]) => [
      enabled,
      offset,
      `X-kata.dmverity.algorithm=${algorithm}`,
      ...more,
    ];
    const hash = `X-kata.dmverity.roothash=${'c'.repeat(length)}`;
    assert.equal(verityFrom(...of(hash))?.algorithm, algorithm);
    for (const wrong of [
      [`${hash}c`],
      [hash.toUpperCase().replace('X-KATA.DMVERITY.ROOTHASH', 'X-kata.dmverity.roothash')],
      [hash, 'X-kata.dmverity.salt=AB'],
      ...[256, 1000, 8192, 65536].map((size) => [hash, `X-kata.dmverity.blocksize=${size}`]),
      ...[256, 1000, 8192, 65536].map((size) => [hash, `X-kata.dmverity.hashsize=${size}`]),
    ])
      assert.throws(() => verityFrom(...of(...wrong)), { kind: 'invalid' }, wrong.join());
    for (const size of [512, 1024, 2048, 4096]) verityFrom(...of(hash, `X-kata.dmverity.blocksize=${size}`));
  }
});

test('a device whose blocks do not have the root hash is refused, and is removed', async () => {
  const dev = mkdtempSync(join(tmpdir(), 'kata-verity-'));
  try {
    // No page is mapped at address 0: reading there fails with EIO, as from a device with a changed block.
    symlinkSync('/proc/self/mem', join(dev, 'dm-0'));
    const syscalls = new RecordingSyscalls();
    const made = new UndoStack();
    const paths = { kata: '', state: '', cgroup: '', proc: '', sys: '', dev };
    const verity = given('X-kata.dmverity.hashoffset=8192');
    const media = directMedia(syscalls);
    await assert.rejects(openVerity({ number, named: disk }, verity, 'name', { media, made, paths }), {
      kind: 'refused',
      message: /does not pass dm-verity.*root hash abab/,
    });
    assert.deepEqual(await made.unwind(), []);
    const commands = syscalls.argumentsOf('deviceMapper').map(([, command]) => command);
    assert.deepEqual(commands, [3, 9, 6, 4], 'create, load, resume, remove');
  } finally {
    rmSync(dev, { recursive: true });
  }
});

test('a kernel without a device mapper, and one that rejects the table, are errors with a remedy', async () => {
  const paths = { kata: '', state: '', cgroup: '', proc: '', sys: '', dev: '/dev' };
  const verity = given('X-kata.dmverity.hashoffset=8192');
  for (const [name, code, message] of [
    ['openat', 'ENOENT', /no device mapper; help: load the module dm_verity/],
    ['deviceMapper', 'EINVAL', /rejects its table/],
  ] as const) {
    const syscalls = new RecordingSyscalls();
    let first = true;
    syscalls.script(name, () => {
      // The removal of the device, after the rejected table, succeeds.
      if (!first) return undefined as never;
      first = false;
      throw SyscallError.named(name, code);
    });
    const made = new UndoStack();
    const media = directMedia(syscalls);
    await assert.rejects(openVerity({ number, named: disk }, verity, 'name', { media, made, paths }), {
      message,
    });
    assert.ok(made.empty);
  }
});

test('layers of one root have different names', () => {
  const verity = given('X-kata.dmverity.hashoffset=8192');
  const place = `shared/containers/passthrough/${'c'.repeat(64)}/rootfs`;
  const names = [0, 1, 127].map((index) => verityName(verity, place, index));
  assert.equal(new Set(names).size, 3);
  for (const name of names) assert.ok(name.length < 128, name);
});

test('wrong options are an error, and never a disk without dm-verity', () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [[`X-kata.dmverity.roothash=${rootHash}`], /need X-kata.dmverity-enabled=true/],
    [[enabled], /roothash= must be a hash/],
    [[enabled, `X-kata.dmverity.roothash=${rootHash.toUpperCase()}`], /must be a hash of sha256/],
    [
      [...requested, 'X-kata.dmverity.hashoffset=4096', 'X-kata.dmverity.algorithm=sha512'],
      /128 hexadecimal/,
    ],
    [requested, /hashoffset=0 must be a multiple/],
    [[...requested, 'X-kata.dmverity.hashoffset=100'], /hashoffset=100/],
    [[...requested, 'X-kata.dmverity.hashoffset=1024', 'X-kata.dmverity.blocksize=512'], /hashoffset=1024/],
    [[...requested, 'X-kata.dmverity.hashoffset=x'], /hashoffset=x is not a number/],
    [[...requested, 'X-kata.dmverity.hashoffset=4096', 'X-kata.dmverity.algorithm=md5'], /algorithm=md5/],
    [[...requested, 'X-kata.dmverity.hashoffset=4096', 'X-kata.dmverity.salt=--help'], /salt=--help/],
    [[...requested, 'X-kata.dmverity.hashoffset=4096', 'X-kata.dmverity.blocksize=3'], /block size of 3/],
    [[...requested, 'X-kata.dmverity.hashoffset=4096', 'X-kata.dmverity.hashtype=2'], /hashtype=2/],
    [[...requested, 'X-kata.dmverity.hashoffset=4096', 'X-kata.dmverity.no-superblock=1'], /no-superblock=1/],
  ];
  for (const [options, message] of wrong)
    assert.throws(() => verityFrom(...options), { kind: 'invalid', message });
});
