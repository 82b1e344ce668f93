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
import { foreignFilesystem } from './foreign-filesystem.js';
import { openDocument } from './index.js';

const folder = mkdtempSync(join(tmpdir(), 'kata-agent-config-'));
after(() => rmSync(folder, { recursive: true }));

const root = process.geteuid?.() === 0;
if (!root && process.env.CI === 'true') throw new Error('in CI these tests must run as root');
const needsRoot = { skip: root ? false : 'needs root' };

function file(name: string, text = 'version = 1\n', mode = 0o644): string {
  const path = join(folder, name);
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

test('a regular file of root is read as it is', needsRoot, () => {
  const read = openDocument().read(file('good.toml', 'version = 1 # \u00e9\n'));
  assert.ok(read.ok);
  assert.equal(Buffer.from(read.bytes).toString(), 'version = 1 # \u00e9\n');
});

test('an empty file and one of exactly 256 KiB are read', needsRoot, () => {
  for (const size of [0, 262_144]) {
    const path = file('size.toml', '');
    truncateSync(path, size);
    const read = openDocument().read(path);
    assert.ok(read.ok);
    assert.equal(read.bytes.length, size);
  }
});

test('a missing file is told from one that is wrong', () => {
  const path = join(folder, 'missing.toml');
  assert.deepEqual(refusal(path), { message: `there is no document at "${path}"`, missing: true });
  const below = join(file('a-file'), 'x');
  assert.deepEqual(refusal(below), { message: `there is no document at "${below}"`, missing: true });
});

test('a symbolic link is not followed, whatever it points to', () => {
  const path = join(folder, 'link.toml');
  symlinkSync(file('target.toml'), path);
  assert.deepEqual(refusal(path), { message: `"${path}" is a symbolic link`, missing: false });
  const dangling = join(folder, 'dangling.toml');
  symlinkSync('/nonexistent', dangling);
  assert.deepEqual(refusal(dangling), { message: `"${dangling}" is a symbolic link`, missing: false });
});

test('a directory, a device, a fifo and a socket are each called by name, and none is waited for', async () => {
  const directory = join(folder, 'directory');
  mkdirSync(directory);
  assert.equal(refusal(directory).message, `"${directory}" is a directory, not a regular file`);
  assert.equal(refusal('/dev/null').message, '"/dev/null" is a device node, not a regular file');
  const fifo = join(folder, 'fifo');
  execFileSync('/usr/bin/mkfifo', [fifo]);
  assert.equal(refusal(fifo).message, `"${fifo}" is a fifo, not a regular file`);
  const socket = join(folder, 'socket');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  assert.equal(refusal(socket).message, `"${socket}" is a socket, not a regular file`);
  await new Promise((resolve) => server.close(resolve));
});

test('a file of 10 MiB is refused by its size', needsRoot, () => {
  const path = file('large.toml');
  truncateSync(path, 10 * 1024 * 1024);
  assert.equal(refusal(path).message, `"${path}" has 10485760 bytes; at most 256KiB are allowed`);
});

test('a file that others can write is refused, unless permissions are relaxed', needsRoot, () => {
  for (const mode of [0o646, 0o664, 0o666]) {
    const path = file('writable.toml', 'x', mode);
    const octal = mode.toString(8).padStart(4, '0');
    assert.equal(refusal(path).message, `"${path}" can be written by others than root (mode ${octal})`);
    assert.ok(openDocument({ relaxedPermissions: true }).read(path).ok);
  }
});

test('a file of another user is refused, also with relaxed permissions', needsRoot, () => {
  const path = file('owned.toml');
  chownSync(path, 65_534, 65_534);
  for (const relaxed of [false, true]) {
    assert.equal(refusal(path, relaxed).message, `"${path}" is owned by user 65534, not by root`);
  }
});

test('procfs and sysfs are not the root of the guest', needsRoot, () => {
  assert.equal(
    refusal('/proc/version').message,
    '"/proc/version" lies on procfs, which is not the guest\'s own root',
  );
  assert.equal(
    refusal('/sys/kernel/uevent_seqnum').message,
    '"/sys/kernel/uevent_seqnum" lies on sysfs, which is not the guest\'s own root',
  );
});

test('what the host shares is no place for a document; what the guest has is', () => {
  assert.match(foreignFilesystem(0x65735546) ?? '', /virtiofs/);
  assert.match(foreignFilesystem(0x01021997) ?? '', /9p/);
  assert.match(foreignFilesystem(0xff534d42 | 0) ?? '', /CIFS/);
  // ext4, tmpfs, ramfs, squashfs, erofs, overlay
  for (const type of [0xef53, 0x01021994, 0x858458f6, 0x73717368, 0xe0f5e1e2, 0x794c7630]) {
    assert.equal(foreignFilesystem(type), undefined);
  }
});

test('what cannot be opened at all says why', () => {
  const path = join(folder, 'x'.repeat(300));
  assert.match(refusal(path).message, /cannot be read: ENAMETOOLONG/);
  assert.match(refusal('a\u0000b').message, /cannot be read: .*null bytes/i);
});
