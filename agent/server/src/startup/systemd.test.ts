import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isBootedWithSystemd } from './systemd.js';

test('systemd is the init if it has its directory and is process 1', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'kata-booted-'));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'proc/1'), { recursive: true });
  writeFileSync(join(root, 'proc/1/comm'), 'systemd\n');
  assert.equal(isBootedWithSystemd(root), false);
  mkdirSync(join(root, 'run/systemd/system'), { recursive: true });
  assert.equal(isBootedWithSystemd(root), true);
  // In a pid namespace of its own, as in a container that has the guest's /run.
  writeFileSync(join(root, 'proc/1/comm'), 'node\n');
  assert.equal(isBootedWithSystemd(root), false);
});
