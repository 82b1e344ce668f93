import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { blockSize, HashTree, treeBlocks } from './hash-tree.js';

const salt = '00ff'.repeat(16);

function hasVeritysetup(): boolean {
  try {
    execFileSync('veritysetup', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
const skip = process.env['CI'] === 'true' || hasVeritysetup() ? false : 'needs veritysetup (cryptsetup-bin)';

/** Blocks that differ. */
function blocksOf(count: number): Buffer {
  const data = Buffer.alloc(count * blockSize);
  for (let index = 0; index < count; index += 1) data.writeUInt32LE(index + 1, index * blockSize);
  return data;
}

describe('a hash tree is the one that veritysetup makes', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-agent-tree-'));
  after(() => rmSync(directory, { recursive: true }));

  // A tree has one level more from 129 and 16,385 blocks on.
  for (const count of [1, 2, 127, 128, 129, 300, 16_384, 16_385, 16_513])
    it(`of ${count} blocks`, () => {
      const data = blocksOf(count);
      const [file, hashes] = [join(directory, 'data'), join(directory, 'hashes')];
      writeFileSync(file, data);
      writeFileSync(hashes, '');
      const printed = execFileSync(
        'veritysetup',
        ['format', '--no-superblock', `--salt=${salt}`, file, hashes],
        { encoding: 'utf8' },
      );
      const tree = new HashTree(Buffer.from(salt, 'hex'));
      // In pieces, as an image is written.
      for (let at = 0; at < data.length; at += 100 * blockSize)
        tree.add(data.subarray(at, at + 100 * blockSize));
      const { rootHash, blocks } = tree.finish();
      assert.equal(rootHash, /^Root hash:\s+([0-9a-f]+)$/m.exec(printed)?.[1]);
      assert.ok(blocks.equals(readFileSync(hashes)), 'the blocks of the tree');
      assert.equal(blocks.length, treeBlocks(count) * blockSize);
    });
});
