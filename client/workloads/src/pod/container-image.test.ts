import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseImageConfig } from './container-image.js';

const hash = 'a'.repeat(64);

function parse(members: object): ReturnType<typeof parseImageConfig> {
  return parseImageConfig(JSON.stringify({ config: {}, ...members }));
}

test('layers are counted, and each has a root hash or none has', () => {
  assert.equal(parse({}).layers, undefined);
  const { layers, rootHashes } = parse({ rootfs: { diff_ids: ['x', 'y'] }, roothashes: [hash, hash] });
  assert.deepEqual([layers, rootHashes], [2, [hash, hash]]);
  assert.throws(() => parse({ rootfs: { diff_ids: ['x', 'y', 'z'] }, roothashes: [hash, hash] }), {
    message: 'roothashes must have a hash for each of the 3 layers of rootfs.diff_ids',
  });
  assert.throws(() => parse({ roothashes: [hash] }), /absent for an image of one layer/);
  assert.throws(() => parse({ roothashes: [hash, 'A'.repeat(64)] }), /64 hexadecimal digits/);
  assert.throws(() => parse({ rootfs: { diff_ids: 2 } }), /rootfs\.diff_ids must be a list of strings/);
});
