import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { refuseSecondDevice } from './second-device.js';

let directory = '';
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'second-device-'));
});
after(() => rmSync(directory, { recursive: true }));

function image(name: string, bytes: Buffer): string {
  const path = join(directory, name);
  writeFileSync(path, bytes);
  return path;
}

function ext(inode: number, device: number, compatible = 0x4): Buffer {
  const bytes = Buffer.alloc(4096);
  bytes.writeUInt16LE(0xef53, 1024 + 0x38);
  bytes.writeUInt32LE(compatible, 1024 + 0x5c);
  bytes.writeUInt32LE(inode, 1024 + 0xe0);
  bytes.writeUInt32LE(device, 1024 + 0xe4);
  return bytes;
}

function btrfs(devices: bigint): Buffer {
  const bytes = Buffer.alloc(128 * 1024);
  bytes.write('_BHRfS_M', 0x10040, 'latin1');
  bytes.writeBigUInt64LE(devices, 0x10088);
  return bytes;
}

test('an ext journal is in the file system, or there is none', () => {
  for (const [name, bytes] of [
    ['inside', ext(8, 0)],
    ['none', ext(0, 0, 0)],
    ['other', Buffer.alloc(4096)],
    ['small', Buffer.alloc(512)],
  ] as const)
    refuseSecondDevice(image(name, bytes), 'ext4');
  for (const [name, bytes] of [
    ['device', ext(0, 0x801)],
    ['both', ext(8, 0x801)],
    ['by-uuid', ext(0, 0)],
    ['later', ext(8, 0x801, 0)],
  ] as const)
    for (const fstype of ['ext3', 'ext4'])
      assert.throws(() => refuseSecondDevice(image(name, bytes), fstype), {
        kind: 'refused',
        message: /its journal is on another disk/,
      });
});

test('btrfs is on one disk', () => {
  refuseSecondDevice(image('one', btrfs(1n)), 'btrfs');
  refuseSecondDevice(image('zero', Buffer.alloc(4096)), 'btrfs');
  for (const devices of [0n, 2n, 2n ** 63n])
    assert.throws(() => refuseSecondDevice(image('several', btrfs(devices)), 'btrfs'), {
      kind: 'refused',
      message: /its btrfs is on \d+ disks/,
    });
});

test('file systems that cannot name a second disk are not read', () => {
  refuseSecondDevice('/does/not/exist', 'xfs');
});

function erofs(tags: readonly string[], incompatible = 0x8): Buffer {
  const bytes = Buffer.alloc(4096 + Math.max(4096, tags.length * 128));
  bytes.writeUInt32LE(0xe0f5e1e2, 1024);
  bytes.writeUInt32LE(incompatible, 1024 + 0x50);
  bytes.writeUInt16LE(tags.length, 1024 + 0x56);
  bytes.writeUInt16LE(4096 / 128, 1024 + 0x58);
  for (const [index, tag] of tags.entries()) bytes.write(tag, 4096 + index * 128);
  return bytes;
}

test('EROFS whose device table has the path of another disk is refused', () => {
  const max = Array.from({ length: 65_535 }, (_, index) => (index === 65_534 ? '/dev/vdb' : 'layer'));
  for (const tags of [['/dev/vdb'], ['layer', 'dev/dm-3'], max])
    assert.throws(() => refuseSecondDevice(image('named', erofs(tags)), 'erofs'), {
      kind: 'refused',
      message:
        /is not mounted: its EROFS names another disk, which would be used too; help: use a file system/,
    });
  refuseSecondDevice(image('digests', erofs(['sha256:0b6f', ''])), 'erofs');
  refuseSecondDevice(image('none', erofs(['/dev/vdb'], 0)), 'erofs');
  refuseSecondDevice(image('no-erofs', Buffer.alloc(4096)), 'erofs');
  refuseSecondDevice(image('short', erofs(['layer', '/dev/vdb']).subarray(0, 4096)), 'erofs');
});
