import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { lstatSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import {
  type BuiltEntry,
  buildEntry,
  buildTar,
  layerOf,
  paxBody,
  withChecksum,
} from '../testing/tar-builder.js';
import { whyNotRoot, Workplace } from '../testing/unpacking.js';
import { LayerError, type LayerErrorCode } from './layer-error.js';
import type { UnpackLimits } from './budget.js';

/** What is wrong with a layer, the code of its refusal, and the layers: the last is refused. */
type Row = readonly [
  what: string,
  code: LayerErrorCode,
  layers: readonly (readonly BuiltEntry[] | Buffer)[],
  limits?: Partial<UnpackLimits>,
];

const file = (name: string | Buffer, more: Partial<BuiltEntry> = {}): BuiltEntry => ({
  name,
  content: 'x',
  ...more,
});
const directory = (name: string, more: Partial<BuiltEntry> = {}): BuiltEntry => ({
  name,
  type: '5',
  mode: 0o755,
  ...more,
});
const link = (name: string, target: string): BuiltEntry => ({ name, type: '2', link: target });
const hardLink = (name: string, target: string): BuiltEntry => ({ name, type: '1', link: target });
const withAttribute = (name: string, value: string | Buffer, more: Partial<BuiltEntry> = {}): BuiltEntry =>
  file('f', { pax: { [`SCHILY.xattr.${name}`]: value }, ...more });
const changed = (change: (block: Buffer) => void): Buffer => {
  const block = buildEntry({ name: 'f' });
  change(block);
  return Buffer.concat([withChecksum(block), Buffer.alloc(1024)]);
};

const rows: readonly Row[] = [
  ['a parent in the name', 'name', [[file('../f')]]],
  ['a parent inside the name', 'name', [[file('a/../../f')]]],
  ['a parent that stays inside', 'name', [[file('a/../f')]]],
  ['a parent at the end', 'name', [[directory('a/..')]]],
  ['a parent in an absolute name', 'name', [[file('/../f')]]],
  ['a parent in a pax path', 'name', [[file('f', { pax: { path: '../f' } })]]],
  ['a parent in a long name', 'name', [[{ name: 'L', type: 'L', content: '../f\0' }, file('f')]]],
  ['no name', 'name', [[file('')]]],
  ['a NUL in a name', 'name', [[file('f', { pax: { path: 'a\0b' } })]]],
  ['a newline in a name', 'name', [[file('a\nb')]]],
  ['a component that is too long', 'name', [[file('f', { pax: { path: 'n'.repeat(256) } })]]],
  ['a name that is too long', 'name', [[file('f', { pax: { path: 'a/'.repeat(2048) + 'f' } })]]],
  ['a name that is too deep', 'name', [[file('f', { pax: { path: 'a/'.repeat(128) + 'f' } })]]],
  ['a file whose name ends with a slash', 'name', [[file('f/')]]],
  ['the root as a file', 'name', [[file('.')]]],
  ['a file below a file', 'parent', [[file('a'), file('a/b')]]],
  ['a file below a file of an earlier layer', 'parent', [[file('a')], [file('a/b')]]],
  ['a file below a link to nothing', 'parent', [[link('a', '/missing')], [file('a/b')]]],
  ['a file below a link to itself', 'parent', [[link('a', 'a')], [file('a/b')]]],
  [
    'a directory in place of a link with an entry below',
    'parent',
    [[link('a', '/')], [file('a/b'), directory('a')]],
  ],
  ['a file below a link to a file', 'parent', [[file('f'), link('a', 'f')], [file('a/b')]]],
  ['a character device', 'device', [[{ name: 'null', type: '3' }]]],
  ['a block device', 'device', [[{ name: 'disk', type: '4' }]]],
  ['a hard link to a parent', 'name', [[hardLink('h', '../canary/file')]]],
  ['a hard link out of the root', 'hard-link', [[hardLink('h', '/canary/file')]]],
  [
    'a hard link through a link out of the root',
    'hard-link',
    [[link('out', '../canary'), hardLink('h', 'out/file')]],
  ],
  ['a hard link to nothing', 'hard-link', [[hardLink('h', 'missing')]]],
  ['a hard link to itself', 'hard-link', [[file('h')], [hardLink('h', './h')]]],
  ['a hard link to a symbolic link', 'hard-link', [[link('l', '/etc/passwd'), hardLink('h', 'l')]]],
  ['a hard link to a directory', 'hard-link', [[directory('d'), hardLink('h', 'd')]]],
  ['a hard link to a fifo', 'hard-link', [[{ name: 'p', type: '6' }, hardLink('h', 'p')]]],
  ['a hard link to the root', 'hard-link', [[hardLink('h', '/')]]],
  ['a hard link with content', 'header', [[file('f'), { name: 'h', type: '1', link: 'f', content: 'y' }]]],
  ['a symbolic link to no name', 'symbolic-link', [[link('l', '')]]],
  ['a symbolic link with a NUL', 'symbolic-link', [[{ name: 'l', type: '2', pax: { linkpath: 'a\0b' } }]]],
  [
    'a symbolic link that is too long',
    'symbolic-link',
    [[{ name: 'l', type: '2', pax: { linkpath: 'n'.repeat(4096) } }]],
  ],
  ['a whiteout of the directory itself', 'whiteout', [[file('.wh..', { content: '' })]]],
  ['a whiteout of the parent', 'whiteout', [[file('.wh...', { content: '' })]]],
  ['a whiteout of the parent, below', 'whiteout', [[file('a/.wh...', { content: '' })]]],
  ['a whiteout of no name', 'whiteout', [[file('.wh.', { content: '' })]]],
  ['a whiteout of a whiteout', 'whiteout', [[file('.wh..wh.plnk', { content: '' })]]],
  ['a file below a whiteout', 'whiteout', [[file('.wh.a/f')]]],
  ['a whiteout with content', 'whiteout', [[file('.wh.a')]]],
  ['a whiteout that is a directory', 'whiteout', [[directory('.wh.a')]]],
  ['a whiteout that is a link', 'whiteout', [[link('.wh.a', 'x')]]],
  ['a file twice', 'duplicate', [[file('f'), file('./f')]]],
  ['a file, then a link', 'duplicate', [[file('f'), link('f', '/etc')]]],
  ['a link, then a directory', 'duplicate', [[link('d', '/etc'), directory('d')]]],
  ['a directory, then a link', 'duplicate', [[directory('d'), link('d', '/etc')]]],
  ['a link in place of an implied directory', 'duplicate', [[file('d/f'), link('d', '/etc')]]],
  ['an attribute of overlayfs', 'attribute', [[withAttribute('trusted.overlay.redirect', '/etc')]]],
  ['an attribute of overlayfs for users', 'attribute', [[withAttribute('user.overlay.opaque', 'y')]]],
  ['capabilities of no known form', 'attribute', [[withAttribute('security.capability', 'x')]]],
  [
    'capabilities of a directory',
    'attribute',
    [[withAttribute('security.capability', Buffer.alloc(20), { type: '5', content: '' })]],
  ],
  ['an attribute that is too large', 'attribute', [[withAttribute('user.a', 'x'.repeat(65_537))]]],
  ['an attribute with a NUL in its name', 'attribute', [[withAttribute('user.a\0b', 'x')]]],
  ['an owner that does not exist', 'owner', [[file('f', { pax: { uid: '4294967295' } })]]],
  ['a group that does not exist', 'owner', [[file('f', { pax: { gid: '9007199254740991' } })]]],
  ['a sparse file of GNU', 'unsupported', [[file('f', { type: 'S' })]]],
  ['a sparse file of pax', 'unsupported', [[file('f', { pax: { 'GNU.sparse.major': '1' } })]]],
  ['a volume header', 'unsupported', [[file('f', { type: 'V' })]]],
  ['an unknown type', 'unsupported', [[file('f', { type: 'Z' })]]],
  [
    'a global header that renames',
    'unsupported',
    [[{ name: 'g', type: 'g', content: paxBody([['path', 'x']]) }, file('f')]],
  ],
  ['a wrong checksum', 'header', [Buffer.concat([Buffer.from('f'.padEnd(512, 'x')), Buffer.alloc(1024)])]],
  ['a size that is not a number', 'header', [changed((block) => block.write('zzz', 124))]],
  ['a negative size', 'header', [changed((block) => block.fill(0xff, 124, 136))]],
  [
    'a size beyond all numbers',
    'header',
    [changed((block) => block.fill(0x80, 124, 125).fill(0xff, 125, 136))],
  ],
  ['a directory with content', 'header', [[directory('d', { content: 'x' })]]],
  ['a record of the wrong length', 'header', [[{ name: 'x', type: 'x', content: '99 path=f\n' }, file('f')]]],
  ['a record with length 0', 'header', [[{ name: 'x', type: 'x', content: '0 path=f\n' }, file('f')]]],
  ['a record without a key', 'header', [[{ name: 'x', type: 'x', content: '5 =f\n' }, file('f')]]],
  [
    'a record twice',
    'header',
    [
      [
        {
          name: 'x',
          type: 'x',
          content: paxBody([
            ['path', 'a'],
            ['path', 'b'],
          ]),
        },
        file('f'),
      ],
    ],
  ],
  [
    'two pax headers',
    'header',
    [[{ name: 'x', type: 'x', content: paxBody([['path', 'a']]) }, file('f', { pax: { path: 'b' } })]],
  ],
  [
    'two long names',
    'header',
    [[{ name: 'L', type: 'L', content: 'a\0' }, file('f', { pax: { path: 'b' } })]],
  ],
  ['bytes behind a long name', 'header', [[{ name: 'L', type: 'L', content: 'a\0b' }, file('f')]]],
  ['an invalid time', 'header', [[file('f', { pax: { mtime: 'now' } })]]],
  ['a size larger than the archive', 'truncated', [buildEntry({ name: 'f', size: 4096, content: 'x' })]],
  ['an archive that ends in a header', 'truncated', [buildEntry({ name: 'f' }).subarray(0, 300)]],
  [
    'an extended header without an entry',
    'truncated',
    [[{ name: 'x', type: 'x', content: paxBody([['path', 'a']]) }]],
  ],
  ['an entry behind the end', 'trailing', [Buffer.concat([buildTar([file('a')]), buildTar([file('b')])])]],
  [
    'an entry behind one block of zeros',
    'trailing',
    [Buffer.concat([Buffer.alloc(512), buildTar([file('b')])])],
  ],
  ['an extended header that is too large', 'limit', [[{ name: 'x', type: 'x', size: 2 ** 30 }]]],
  ['too many bytes', 'limit', [[file('f', { content: Buffer.alloc(70_000) })]], { bytes: 65_536 }],
  ['too many small files', 'limit', [[file('a'), file('b'), file('c')]], { bytes: 8192 }],
  ['too many entries', 'limit', [[file('a'), file('b'), file('c')]], { entries: 2 }],
  ['too many entries in two layers', 'limit', [[file('a'), file('b')], [file('c')]], { entries: 2 }],
  ['too many implied directories', 'limit', [[file('a/b/c/d')]], { entries: 3 }],
  [
    'directories that take more memory than all bytes may',
    'limit',
    [[file('f', { pax: { path: `${'a/'.repeat(100)}f` } })]],
    { bytes: 65_536 },
  ],
  ['a directory in place of the link through which it leads', 'parent', [[link('a', '/'), directory('a/a')]]],
  ['too many bytes of names', 'limit', [[file('a'.repeat(90)), file('b'.repeat(90))]], { nameBytes: 100 }],
  ['no time', 'limit', [[file('a')]], { milliseconds: -1 }],
];

test('hostile layers are refused by code, and nothing beside the root changes', {
  skip: whyNotRoot,
}, async (context) => {
  const place = new Workplace(context);
  const before = place.outside();
  const descriptors = readdirSync('/proc/self/fd').length;
  for (const [what, code, layers, limits] of rows) {
    place.empty();
    const built = layers.map((layer) => layerOf(Buffer.isBuffer(layer) ? layer : buildTar(layer)));
    await assert.rejects(
      place.unpack(built, limits),
      (error) => {
        assert.ok(error instanceof LayerError, `${what}: ${String(error)}`);
        assert.equal(error.code, code, `${what}: ${error.message}`);
        assert.doesNotMatch(error.message, /[\0-\x09\x0b-\x1f]/, what);
        return true;
      },
      what,
    );
    assert.deepEqual(place.outside(), before, what);
  }
  assert.equal(readdirSync('/proc/self/fd').length, descriptors);
});

test('a link to a directory is replaced by a directory, not followed', {
  skip: whyNotRoot,
}, async (context) => {
  const place = new Workplace(context);
  const before = place.outside();
  await place.unpack([
    layerOf(buildTar([link('d', '../canary'), link('e', '../canary/file')])),
    layerOf(buildTar([directory('d', { mode: 0o777 }), file('e')])),
  ]);
  assert.ok(lstatSync(`${place.root}/d`).isDirectory());
  assert.ok(lstatSync(`${place.root}/e`).isFile());
  assert.deepEqual(place.outside(), before);
});

test('another digest, and bytes that are not what the media type says, are refused', {
  skip: whyNotRoot,
}, async (context) => {
  const place = new Workplace(context);
  // Larger than a block even when it is compressed.
  const archive = buildTar([file('f', { content: randomBytes(4096) })]);
  const good = layerOf(archive, 'gzip');
  const refused = (change: Partial<typeof good>, code: LayerErrorCode): Promise<void> =>
    assert.rejects(place.unpack([{ ...good, ...change }]), { name: 'LayerError', code });
  await refused({ diffId: `sha256:${'0'.repeat(64)}` }, 'diff-id');
  await refused({ blob: archive }, 'compression');
  await refused({ blob: good.blob.subarray(0, -1) }, 'compression');
  await refused({ blob: Buffer.concat([good.blob, Buffer.from('garbage')]) }, 'compression');
  await refused({ blob: Buffer.concat([good.blob, Buffer.alloc(8)]) }, 'compression');
  // Several members are one stream; the end of the archive may be one of its own.
  await refused(
    { blob: Buffer.concat([good.blob, gzipSync(Buffer.from('garbage'.repeat(100)))]) },
    'trailing',
  );
  await refused({ mediaType: 'application/vnd.oci.image.layer.v1.tar' }, 'header');
  await refused({ mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd' }, 'compression');
  await refused({ mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar' }, 'unsupported');
});
