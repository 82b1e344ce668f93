import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { foreignFilesystem } from './open-document.js';
import { openDocument } from '../index.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-agent-config-'));
after(() => rmSync(directory, { recursive: true }));

const root = process.geteuid?.() === 0;
if (!root && process.env.CI === 'true') throw new Error('in CI these tests must run as root');
const needsRoot = { skip: root ? false : 'needs root' };

function file(name: string, text = 'version = 1\n', mode = 0o644): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function refusal(
  path: string,
  relaxedPermissions = false,
): { readonly message: string; readonly missing: boolean } {
  const read = openDocument({ relaxedPermissions }).read(path);
  assert.ok(!read.ok);
  assert.ok(read.help.length > 0);
  return { message: read.message, missing: read.missing };
}

test('reads a regular file owned by root', needsRoot, () => {
  const read = openDocument().read(file('good.toml', 'version = 1 # \u00e9\n'));
  assert.ok(read.ok);
  assert.equal(Buffer.from(read.bytes).toString(), 'version = 1 # \u00e9\n');
});

test('reads an empty file and one of exactly 256 KiB', needsRoot, () => {
  for (const size of [0, 262_144]) {
    const path = file('size.toml', '');
    truncateSync(path, size);
    const read = openDocument().read(path);
    assert.ok(read.ok);
    assert.equal(read.bytes.length, size);
  }
});

test('a missing file is distinguished from an invalid one', () => {
  const path = join(directory, 'missing.toml');
  assert.deepEqual(refusal(path), { message: `there is no document at "${path}"`, missing: true });
  const below = join(file('a-file'), 'x');
  assert.deepEqual(refusal(below), { message: `there is no document at "${below}"`, missing: true });
});

test('a symbolic link is not followed, wherever it points', () => {
  const path = join(directory, 'link.toml');
  symlinkSync(file('target.toml'), path);
  assert.deepEqual(refusal(path), { message: `"${path}" is a symbolic link`, missing: false });
  const dangling = join(directory, 'dangling.toml');
  symlinkSync('/nonexistent', dangling);
  assert.deepEqual(refusal(dangling), { message: `"${dangling}" is a symbolic link`, missing: false });
});

test('a directory, device, fifo and socket are each named, and opening none of them blocks', async () => {
  const path = join(directory, 'directory');
  mkdirSync(path);
  assert.equal(refusal(path).message, `"${path}" is a directory, not a regular file`);
  assert.equal(refusal('/dev/null').message, '"/dev/null" is a device node, not a regular file');
  const fifo = join(directory, 'fifo');
  execFileSync('/usr/bin/mkfifo', [fifo]);
  assert.equal(refusal(fifo).message, `"${fifo}" is a fifo, not a regular file`);
  const socket = join(directory, 'socket');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  assert.equal(refusal(socket).message, `"${socket}" is a socket, not a regular file`);
  await new Promise((resolve) => server.close(resolve));
});

test('a file of 10 MiB is rejected by its size', needsRoot, () => {
  const path = file('large.toml');
  truncateSync(path, 10 * 1024 * 1024);
  assert.equal(refusal(path).message, `"${path}" has 10485760 bytes; at most 256KiB are allowed`);
});

test('a file that others can write is rejected, unless permissions are relaxed', needsRoot, () => {
  for (const mode of [0o646, 0o664, 0o666]) {
    const path = file('writable.toml', 'x', mode);
    const octal = mode.toString(8).padStart(4, '0');
    assert.equal(refusal(path).message, `"${path}" can be written by others than root (mode ${octal})`);
    assert.ok(openDocument({ relaxedPermissions: true }).read(path).ok);
  }
});

test('a file of another user is rejected, even with relaxed permissions', needsRoot, () => {
  const path = file('owned.toml');
  chownSync(path, 65_534, 65_534);
  for (const relaxed of [false, true]) {
    assert.equal(refusal(path, relaxed).message, `"${path}" is owned by user 65534, not by root`);
  }
});

test('procfs and sysfs are rejected', needsRoot, () => {
  assert.equal(
    refusal('/proc/version').message,
    '"/proc/version" is on procfs, which is not the guest\'s root filesystem',
  );
  assert.equal(
    refusal('/sys/kernel/uevent_seqnum').message,
    '"/sys/kernel/uevent_seqnum" is on sysfs, which is not the guest\'s root filesystem',
  );
});

test('filesystems shared by the host are rejected; those of the guest are accepted', () => {
  assert.match(foreignFilesystem(0x65735546) ?? '', /virtiofs/);
  assert.match(foreignFilesystem(0x01021997) ?? '', /9p/);
  assert.match(foreignFilesystem(0xff534d42 | 0) ?? '', /CIFS/);
  // ext4, tmpfs, ramfs, squashfs, erofs, overlay
  for (const type of [0xef53, 0x01021994, 0x858458f6, 0x73717368, 0xe0f5e1e2, 0x794c7630]) {
    assert.equal(foreignFilesystem(type), undefined);
  }
});

test('a file that cannot be opened is reported with the reason', () => {
  const path = join(directory, 'x'.repeat(300));
  assert.match(refusal(path).message, /cannot be read: ENAMETOOLONG/);
  assert.match(refusal('a\u0000b').message, /cannot be read: .*null bytes/i);
});
