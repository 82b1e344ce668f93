import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadSyscalls } from '@kata-agent/linux';
import { type BuiltEntry, buildTar, layerOf, paxBody } from '../testing/tar-builder.js';
import { whyNotRoot, Workplace } from '../testing/unpacking.js';

const syscalls = loadSyscalls();
const file = (name: string, content = ''): BuiltEntry => ({ name, content });

/** A tree with everything that a layer can express; `count` regular files. */
function makeTree(path: string, count: number): void {
  mkdirSync(path);
  const random = (seed: number, below: number): number =>
    createHash('sha256').update(String(seed)).digest().readUInt32LE(0) % below;
  for (let index = 0; index < count; index++) {
    const directory = join(path, `d${index % 37}`, `${'e'.repeat(1 + (index % 90))}${index % 11}`);
    if (index < 37 * 90 * 11) mkdirSync(directory, { recursive: true });
    const name = Buffer.from(join(directory, `f${index}`));
    // Some names are not UTF-8.
    const each = index % 100 === 0 ? Buffer.concat([name, Buffer.from([0xff, 0xc3])]) : name;
    writeFileSync(each, Buffer.alloc(random(index, 3000), index));
    chownSync(each, random(index + 1, 70_000), random(index + 2, 3_000_000));
    chmodSync(each, [0o644, 0o755, 0o4755, 0o2711, 0o600, 0o1777][index % 6] ?? 0);
    utimesSync(each, 0, 1_500_000_000 + index + 0.123456);
    if (index % 50 === 0) linkSync(each, `${directory}/hard${index}`);
    if (index % 20 === 0) {
      const link = `${directory}/soft${index}`;
      symlinkSync(index % 40 === 0 ? '/etc/passwd' : '../../../../x'.repeat(1 + (index % 30)), link);
      lchownSync(link, index, index);
      lutimesSync(link, 0, index);
    }
    if (index % 70 === 0) {
      const fd = openSync(each, 'r');
      syscalls.fsetxattr(fd, 'user.test', Buffer.from([0xff, 0, index & 0xff]));
      // Version 2, cap_net_bind_service.
      syscalls.fsetxattr(fd, 'security.capability', Buffer.from('0100000200040000'.padEnd(40, '0'), 'hex'));
      closeSync(fd);
    }
    if (index % 200 === 0) execFileSync('mkfifo', [`${directory}/fifo${index}`]);
  }
  chmodSync(join(path, 'd3'), 0o1711);
  utimesSync(join(path, 'd3'), 0, 1_000_000_000);
  utimesSync(path, 0, 1_100_000_000);
}

const attributes = ['--xattrs', '--xattrs-include=*'];

/** An archive by GNU tar, the same for the same tree. */
function archiveOf(path: string, format: string): Buffer {
  const pax = '--pax-option=exthdr.name=%d/%f,delete=atime,delete=ctime';
  return execFileSync(
    'tar',
    [
      ...(format === 'pax' ? [...attributes, pax] : []),
      '--numeric-owner',
      '--sort=name',
      `--format=${format}`,
      '-C',
      path,
      '-cf',
      '-',
      '.',
    ],
    { maxBuffer: 2 ** 30 },
  );
}

test('15,000 files become the tree that GNU tar makes of them', { skip: whyNotRoot }, async (context) => {
  const place = new Workplace(context);
  const source = join(place.path, 'source');
  makeTree(source, 15_000);
  const archive = archiveOf(source, 'pax');
  await place.unpack([layerOf(archive, 'gzip')]);
  // The archive of the copy has the names, types, owners, modes, times, attributes, hard links and bytes of the source.
  assert.ok(archiveOf(place.root, 'pax').equals(archive));
});

test('GNU format, old format and zstd', { skip: whyNotRoot }, async (context) => {
  const place = new Workplace(context);
  const source = join(place.path, 'source');
  makeTree(source, 300);
  for (const format of ['gnu', 'ustar']) {
    place.empty();
    if (format === 'ustar') {
      // It has no long links and no large owners.
      execFileSync('find', [source, '-type', 'l', '-delete']);
      execFileSync('chown', ['-R', '70000:2000000', source]);
    }
    const archive = archiveOf(source, format);
    await place.unpack([layerOf(archive)]);
    assert.ok(archiveOf(place.root, format).equals(archive), format);
  }
  place.empty();
  const archive = archiveOf(source, 'pax');
  const layer = layerOf(archive);
  for (const options of [['-1'], ['-19', '--long=27'], ['--format=zstd', '-T2', '-3']]) {
    place.empty();
    const blob = execFileSync('zstd', ['-q', '-c', ...options], { input: archive, maxBuffer: 2 ** 30 });
    const mediaType = `${layer.mediaType}+zstd`;
    await place.unpack([{ ...layer, mediaType, blob }]);
    assert.ok(archiveOf(place.root, 'pax').equals(archive));
    await assert.rejects(place.unpack([{ ...layer, mediaType, blob: blob.subarray(0, -3) }]), {
      code: 'compression',
    });
  }
});

test('later layers replace, remove and hide', { skip: whyNotRoot }, async (context) => {
  const place = new Workplace(context);
  await place.unpack([
    layerOf(
      buildTar([
        file('a/one'),
        file('a/two'),
        file('b/one'),
        file('b/deep/two'),
        file('c/one'),
        { name: 'lib', type: '2', link: 'usr/lib' },
        { name: 'usr/lib', type: '5', mode: 0o755 },
        file('usr/lib/old'),
        file('becomes-directory'),
        file('becomes-file/x'),
        { name: 'escape', type: '2', link: '../../../canary' },
      ]),
    ),
    layerOf(
      buildTar([
        file('a/.wh.one'),
        // What this layer creates stays, in either order.
        file('b/new'),
        file('b/.wh..wh..opq'),
        file('b/deep/three'),
        file('.wh.c'),
        file('.wh.missing'),
        file('missing/.wh.x'),
        file('lib/new', 'in usr'),
        { name: 'becomes-directory', type: '5', mode: 0o711 },
        file('becomes-file'),
        { name: 'usr/lib/hard', type: '1', link: 'lib/old' },
      ]),
    ),
  ]);
  const names = (path: string): readonly string[] => readdirSync(join(place.root, path)).sort();
  assert.deepEqual(names('.'), ['a', 'b', 'becomes-directory', 'becomes-file', 'escape', 'lib', 'usr']);
  assert.deepEqual(names('a'), ['two']);
  assert.deepEqual(names('b'), ['deep', 'new']);
  assert.deepEqual(names('b/deep'), ['three']);
  assert.deepEqual(names('usr/lib'), ['hard', 'new', 'old']);
  assert.equal(readFileSync(join(place.root, 'usr/lib/new'), 'utf8'), 'in usr');
  assert.equal(lstatSync(join(place.root, 'usr/lib/hard')).nlink, 2);
  assert.equal(lstatSync(join(place.root, 'becomes-directory')).mode & 0o7777, 0o711);
  assert.ok(lstatSync(join(place.root, 'becomes-file')).isFile());
  assert.equal(readlinkSync(join(place.root, 'escape')), '../../../canary');
});

test('an absolute link of an earlier layer leads below the root', { skip: whyNotRoot }, async (context) => {
  const place = new Workplace(context);
  const before = place.outside();
  await place.unpack([
    layerOf(
      buildTar([
        { name: 'canary', type: '5' },
        { name: 'out', type: '2', link: `${place.path}/canary` },
        { name: 'up', type: '2', link: '../../../canary' },
      ]),
    ),
    layerOf(buildTar([file('up/file', 'below'), file('up/.wh.none')])),
  ]);
  assert.equal(readFileSync(join(place.root, 'canary/file'), 'utf8'), 'below');
  assert.deepEqual(place.outside(), before);
});

test('a directory may be named again, attributes of the build machine are dropped', {
  skip: whyNotRoot,
}, async (context) => {
  const place = new Workplace(context);
  const [result] = await place.unpack([
    layerOf(
      buildTar([
        { name: 'pax_global_header', type: 'g', content: paxBody([['comment', 'a commit']]) },
        { name: './', type: '5', mode: 0o751, uid: 3 },
        { name: 'd/', type: '5', mode: 0o700 },
        file('d/f'),
        { name: 'd', type: '5', mode: 0o1777, mtime: 7 },
        {
          ...file('g'),
          pax: { 'SCHILY.xattr.security.selinux': 'x', 'SCHILY.xattr.user.a': 'y', path: '/g' },
        },
      ]),
    ),
  ]);
  assert.deepEqual([...(result?.droppedAttributes ?? [])], [['security.selinux', 1]]);
  assert.equal(lstatSync(place.root).mode & 0o7777, 0o751);
  assert.equal(lstatSync(place.root).uid, 3);
  assert.equal(lstatSync(join(place.root, 'd')).mode & 0o7777, 0o1777);
  assert.equal(lstatSync(join(place.root, 'd')).mtimeMs, 7000);
  assert.ok(existsSync(join(place.root, 'g')));
});
