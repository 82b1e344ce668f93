import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { loadSyscalls, RecordingSyscalls, type Syscalls } from '@kata-agent/linux';
import * as fc from 'fast-check';
import type { CopyFile } from '../request/actions.js';
import { admitCopy } from './copy-admission.js';
import { copyFile } from './copy-file.js';
import { copyFileHere } from './copy-file-here.js';
import { isSetAside } from '../removal/remove-tree.js';
import { translated } from '../guest-error.js';
import { directMedia } from '../media-thread/direct-media.js';

const syscalls = loadSyscalls();
let kata: string;
let shared: string;
let outside: string;
beforeEach(() => {
  kata = mkdtempSync(join(tmpdir(), 'guest-copy-'));
  shared = join(kata, 'shared/containers');
  outside = join(kata, 'outside');
  mkdirSync(shared, { recursive: true });
  mkdirSync(outside);
});
afterEach(() => rmSync(kata, { recursive: true }));

const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;

function copy(path: string, more: Partial<CopyFile> = {}, calls: Syscalls = syscalls): Promise<void> {
  const data = more.data ?? Buffer.from('data');
  const action: CopyFile = {
    path: join(shared, path),
    fileSize: data.length,
    fileMode: S_IFREG | 0o640,
    dirMode: 0o750,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    offset: 0,
    ...more,
    data,
  };
  const context = { syscalls: calls, media: directMedia(calls), paths: { kata }, log: () => undefined };
  return translated(async () => {
    await copyFile(admitCopy({ action, kata, refuseRoot: () => undefined }), context);
  });
}

test('a file or link replaces a directory with its contents', async () => {
  for (const [name, more] of [
    ['file', {}],
    ['link', { fileMode: S_IFLNK | 0o777, data: Buffer.from('/target') }],
  ] as const) {
    mkdirSync(join(shared, 'volume', name, 'inner'), { recursive: true });
    writeFileSync(join(shared, 'volume', name, 'inner/file'), '');
    await copy(`volume/${name}`, more);
    assert.equal(lstatSync(join(shared, 'volume', name)).isDirectory(), false);
    // Again, over something that is not a directory.
    await copy(`volume/${name}`, more);
  }
  // Removal runs in the background and may take a while on a busy machine.
  while (readdirSync(shared).length > 1) await delay(50);
  assert.deepEqual(readdirSync(shared), ['volume']);
  assert.deepEqual(new Set(readdirSync(join(shared, 'volume'))), new Set(['file', 'link']));
});

test('a directory that cannot be removed is moved to the shared directory, out of every volume', async () => {
  const failing = new RecordingSyscalls({}, syscalls);
  mkdirSync(join(shared, 'volume/name'), { recursive: true });
  writeFileSync(join(shared, 'volume/name/file'), '');
  failing.fail('unlinkat', 'EIO');
  await copy('volume/name', {}, failing);
  assert.equal(readFileSync(join(shared, 'volume/name'), 'utf8'), 'data');
  assert.deepEqual(readdirSync(join(shared, 'volume')), ['name']);
  const aside = readdirSync(shared).filter(isSetAside);
  assert.equal(aside.length, 1);
});

test('a file and its parents have the requested modes, without Go’s own bits', async () => {
  await copy('a/b/file', { dirMode: 0o20000000750 });
  assert.equal(readFileSync(join(shared, 'a/b/file'), 'utf8'), 'data');
  assert.equal(lstatSync(join(shared, 'a/b/file')).mode, S_IFREG | 0o640);
  assert.equal(lstatSync(join(shared, 'a/b')).mode, S_IFDIR | 0o750);
});

test('a file arrives in pieces and appears with the last', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 500 }),
      fc.integer({ min: 1, max: 200 }),
      async (bytes, piece) => {
        const path = join(shared, 'pieces');
        rmSync(path, { force: true });
        for (let offset = 0; offset === 0 || offset < bytes.length; offset += piece) {
          assert.ok(!existsSync(path), 'not before it is complete');
          await copy('pieces', {
            fileSize: bytes.length,
            offset,
            data: bytes.subarray(offset, offset + piece),
          });
        }
        assert.deepEqual(new Uint8Array(readFileSync(path)), bytes);
        assert.deepEqual(readdirSync(shared), ['pieces'], 'nothing is left beside it');
      },
    ),
    { numRuns: 40 },
  );
});

test('a piece that leaves a hole, or does not fit, is refused', async () => {
  await assert.rejects(copy('f', { fileSize: 100, offset: 50 }), {
    kind: 'invalid',
    message: /only 0 are there/,
  });
  await assert.rejects(copy('f', { fileSize: 3 }), { kind: 'invalid', message: /do not fit/ });
  for (const wrong of [{ offset: -1 }, { fileSize: -1 }, { uid: -2 }, { fileSize: 2 ** 60 }]) {
    await assert.rejects(copy('f', wrong), { kind: 'invalid' });
  }
  assert.deepEqual(readdirSync(shared), []);
});

test('directories are created, changed, and keep their contents', async () => {
  await copy('d', { fileMode: S_IFDIR | 0o2755, data: new Uint8Array(0) });
  writeFileSync(join(shared, 'd/kept'), 'x');
  await copy('d', { fileMode: S_IFDIR | 0o700, fileSize: 4096, data: new Uint8Array(0) });
  assert.equal(lstatSync(join(shared, 'd')).mode, S_IFDIR | 0o700);
  assert.ok(existsSync(join(shared, 'd/kept')));
  await copy('was-file');
  await copy('was-file', { fileMode: S_IFDIR | 0o755, data: new Uint8Array(0) });
  assert.ok(lstatSync(join(shared, 'was-file')).isDirectory());
});

test('links have the requested target, replace existing files, and are never followed', async () => {
  await copy('link', { fileMode: S_IFLNK, data: Buffer.from(outside) });
  assert.equal(readlinkSync(join(shared, 'link')), outside);
  await assert.rejects(copy('link/file'), { kind: 'refused', message: /symbolic link/ });
  assert.deepEqual(readdirSync(outside), []);
  await copy('link', { data: Buffer.from('now a file') });
  assert.equal(readFileSync(join(shared, 'link'), 'utf8'), 'now a file');
  mkdirSync(join(shared, 'tree/with'), { recursive: true });
  await copy('tree', { fileMode: S_IFLNK, data: Buffer.from('x') });
  assert.equal(readlinkSync(join(shared, 'tree')), 'x');
  await assert.rejects(copy('l', { fileMode: S_IFLNK, data: Buffer.of(0xff) }), { kind: 'invalid' });
});

test('a link that the host created in the path is not followed', async () => {
  symlinkSync(outside, join(shared, 'sub'));
  await assert.rejects(copy('sub/evil'), { kind: 'refused' });
  await assert.rejects(
    copy('sub', { fileMode: S_IFDIR | 0o777, data: new Uint8Array(0) }).then(() =>
      copy('sub/../../../outside/x'),
    ),
    {
      kind: 'refused',
    },
  );
  assert.deepEqual(readdirSync(outside), []);
});

test('no link leads to the shared directory itself: `containers` may be a name in the share of the host', async () => {
  for (const name of ['shared/containers', 'shared']) {
    rmSync(join(kata, name), { recursive: true });
    symlinkSync(outside, join(kata, name));
    await assert.rejects(copy('deep/passwd'), { kind: 'refused', message: /leads through a symbolic link/ });
    rmSync(join(kata, name));
    mkdirSync(shared, { recursive: true });
  }
  assert.deepEqual(readdirSync(outside), []);
  rmSync(join(kata, 'shared'), { recursive: true });
  await copy('deep/file');
  assert.equal(readFileSync(join(shared, 'deep/file'), 'utf8'), 'data', 'missing directories are created');
});

test('paths that are not below the shared directory are refused', async () => {
  for (const path of [
    '/etc/passwd',
    shared,
    `${shared}/`,
    `${shared}x/y`,
    `${shared}/../x`,
    `${shared}/a/../../x`,
  ]) {
    await assert.rejects(copy('', { path }), { kind: 'refused' }, path);
  }
});

test('devices, FIFOs, sockets and mixed types are refused', async () => {
  for (const type of [0o010000, 0o020000, 0o060000, 0o140000, 0o160000, 0o170000]) {
    await assert.rejects(copy('x', { fileMode: type | 0o644 }), { kind: 'refused' }, type.toString(8));
  }
  assert.deepEqual(readdirSync(shared), []);
});

test('a copy that was given up replaces nothing that a later one has made', async () => {
  mkdirSync(join(shared, 'directory'));
  for (const name of ['file', 'link', 'directory/file']) writeFileSync(join(shared, name), 'newer');
  const commit = (): never => {
    throw new Error('given up');
  };
  const given = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, dirMode: 0o750, offset: 0 };
  for (const [path, fileMode] of [
    ['file', S_IFREG | 0o644],
    ['link', S_IFLNK | 0o777],
    ['directory', S_IFREG | 0o644],
    ['directory', S_IFDIR | 0o700],
    ['file', S_IFDIR | 0o700],
  ] as const) {
    const data = Buffer.from('older');
    const action = { ...given, path: join(shared, path), fileMode, fileSize: data.length, data };
    const admitted = admitCopy({ action, kata, refuseRoot: () => undefined });
    await assert.rejects(copyFileHere(admitted, { kata, syscalls, commit }), /given up/);
  }
  assert.deepEqual(readdirSync(shared, { recursive: true }).map(String).toSorted(), [
    'directory',
    'directory/file',
    'file',
    'link',
  ]);
  for (const name of ['file', 'link', 'directory/file'])
    assert.equal(readFileSync(join(shared, name), 'utf8'), 'newer');
});
