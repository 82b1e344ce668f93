import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isOnDisk } from './shared-store.js';

test('a mapped device is on a disk through others, and on no other disk', (context) => {
  const sys = mkdtempSync(join(tmpdir(), 'kata-agent-sys-'));
  context.after(() => rmSync(sys, { recursive: true }));
  const put = (device: string, name: string, below: string): void => {
    const directory = join(sys, 'dev/block', device, 'slaves', name);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'dev'), `${below}\n`);
  };
  // dm-crypt on dm-integrity on a disk.
  put('253:1', 'dm-0', '253:0');
  put('253:0', 'vda', '254:0');
  assert.ok(isOnDisk('254:0', '254:0', sys));
  assert.ok(isOnDisk('253:0', '254:0', sys));
  assert.ok(isOnDisk('253:1', '254:0', sys));
  assert.ok(!isOnDisk('253:1', '254:16', sys));
  assert.ok(!isOnDisk('0:45', '254:0', sys), 'a tmpfs');
  put('253:2', 'dm-2', '253:2');
  assert.ok(!isOnDisk('253:2', '254:0', sys), 'what cannot be');
});
