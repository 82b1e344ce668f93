import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Directory, loadSyscalls, mount, unmountTree } from '../index.js';

const skip = process.getuid?.() === 0 || process.env.CI === 'true' ? false : 'mount(2) needs root';
const syscalls = loadSyscalls();

test('removing a tree stops at a mount, even of the same filesystem', { skip }, async (context) => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'directory-')));
  const directory = Directory.open(syscalls, root);
  context.after(() => {
    directory.close();
    unmountTree(syscalls, root);
    rmSync(root, { recursive: true });
  });
  for (const path of ['precious', 'tree', 'tree/mounted']) mkdirSync(join(root, path));
  writeFileSync(join(root, 'precious', 'data'), 'precious');
  mount(syscalls, {
    source: join(root, 'precious'),
    target: join(root, 'tree/mounted'),
    type: 'bind',
    options: ['private'],
  });
  const before = readdirSync('/proc/self/fd').length;
  await assert.rejects(directory.removeTree('tree'), { code: 'EBUSY' });
  await assert.rejects(directory.removeTree('tree/mounted'), { code: 'EBUSY' });
  assert.deepEqual(readdirSync(join(root, 'precious')), ['data']);
  // Node.js may close one of its own meanwhile.
  assert.ok(readdirSync('/proc/self/fd').length <= before);
  unmountTree(syscalls, join(root, 'tree'));
  await directory.removeTree('tree');
  assert.deepEqual(readdirSync(root), ['precious']);
});
