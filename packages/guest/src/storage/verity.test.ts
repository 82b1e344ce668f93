import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { UndoStack } from '../container/undo-stack.js';
import { openVerity, verityArguments, verityName, verityOf } from './verity.js';

const rootHash = 'ab'.repeat(32);
const asked = ['ro', 'X-kata.dmverity-enabled=true', `X-kata.dmverity.roothash=${rootHash}`];

test('a storage without dm-verity asks for none', () => {
  assert.equal(verityOf(['ro', 'X-kata.other=1']), undefined);
});

test('options of dm-verity become the arguments of veritysetup', () => {
  const described = verityOf([...asked, 'X-kata.dmverity.hashoffset=8192']);
  assert.ok(described !== undefined);
  assert.equal(
    verityArguments('/dev/vda', 'n', described).join(' '),
    `open --hash-offset=8192 /dev/vda n /dev/vda ${rootHash}`,
  );
  const bare = verityOf([
    ...asked,
    'X-kata.dmverity.hashoffset=8192,X-kata.dmverity.no-superblock=true',
    'X-kata.dmverity.salt=00ff',
    'X-kata.dmverity.hashsize=512',
  ]);
  assert.ok(bare !== undefined);
  assert.equal(
    verityArguments('/dev/vda', 'n', bare).join(' '),
    `open --hash-offset=8192 --no-superblock --format=1 --hash=sha256 --data-block-size=4096 --hash-block-size=512 --data-blocks=2 --salt=00ff /dev/vda n /dev/vda ${rootHash}`,
  );
});

test('a disk whose blocks do not have the hash is refused, and the check is taken back', async () => {
  const dev = mkdtempSync(join(tmpdir(), 'kata-verity-'));
  try {
    const verity = verityOf([...asked, 'X-kata.dmverity.hashoffset=8192']);
    assert.ok(verity !== undefined);
    const place = 'c/disk';
    mkdirSync(join(dev, 'mapper'));
    // Nothing lies at the first address of a process: reading there is EIO, as from a device without a good block.
    symlinkSync('/proc/self/mem', join(dev, 'mapper', verityName(verity, place)));
    const calls: string[] = [];
    const tools = {
      run: async (_tool: object, args: readonly string[]) => {
        calls.push(args[0] ?? '');
        return { status: 0, stdout: Buffer.alloc(0), stderr: '' };
      },
    };
    const made = new UndoStack();
    const paths = { kata: '', state: '', cgroup: '', proc: '', sys: '', dev };
    await assert.rejects(openVerity('/dev/vda', verity, { place, tools, made, paths }), {
      kind: 'refused',
      message: /does not pass dm-verity.*root hash abab/,
    });
    assert.deepEqual(await made.unwind(), []);
    assert.deepEqual(calls, ['open', 'close']);
  } finally {
    rmSync(dev, { recursive: true });
  }
});

test('what is wrong with dm-verity is an error, and never a disk without it', () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [[`X-kata.dmverity.roothash=${rootHash}`], /need X-kata.dmverity-enabled=true/],
    [['X-kata.dmverity-enabled=true'], /roothash= must be a hash/],
    [asked, /hashoffset=0 must be a multiple/],
    [[...asked, 'X-kata.dmverity.hashoffset=100'], /hashoffset=100/],
    [[...asked, 'X-kata.dmverity.hashoffset=x'], /hashoffset=x is not a number/],
    [[...asked, 'X-kata.dmverity.hashoffset=4096', 'X-kata.dmverity.algorithm=md5'], /algorithm=md5/],
    [[...asked, 'X-kata.dmverity.hashoffset=4096', 'X-kata.dmverity.salt=--help'], /salt=--help/],
    [[...asked, 'X-kata.dmverity.hashoffset=4096', 'X-kata.dmverity.blocksize=3'], /block size of 3/],
    [[...asked, 'X-kata.dmverity.hashoffset=4096', 'X-kata.dmverity.hashtype=2'], /hashtype=2/],
  ];
  for (const [options, message] of wrong)
    assert.throws(() => verityOf(options), { kind: 'invalid', message });
});
