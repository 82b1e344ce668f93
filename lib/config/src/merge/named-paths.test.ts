import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathInRoot } from './named-paths.js';

test('a file of the guest is found below the root, and never through a link', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'kata-root-'));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'etc'));
  writeFileSync(join(root, 'etc', 'ca.pem'), '');
  symlinkSync('/etc', join(root, 'absolute'));
  symlinkSync('ca.pem', join(root, 'etc', 'link.pem'));
  assert.equal(pathInRoot(root, '/etc/ca.pem'), join(root, 'etc', 'ca.pem'));
  for (const path of ['/absolute/hostname', '/etc/link.pem'])
    assert.throws(() => pathInRoot(root, path), /symbolic link/);
  assert.throws(() => pathInRoot(root, '/etc/none.pem'), /ENOENT/);
});
