import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeFolder } from './make-folder.js';

const folder = mkdtempSync(join(tmpdir(), 'kata-audit-'));
after(() => rmSync(folder, { recursive: true }));

test('a folder is made with those above it, for us alone; one that is there stays', async () => {
  const path = join(folder, 'a', 'b', 'c');
  await makeFolder(path);
  await makeFolder(path);
  for (const made of [path, join(folder, 'a')]) assert.equal(statSync(made).mode & 0o7777, 0o700);
});

test('where no folder can be made, that is said, and not tried for ever', async () => {
  await assert.rejects(makeFolder('/proc/nothing/of/ours'), { code: 'ENOENT' });
  const file = join(folder, 'file');
  writeFileSync(file, '');
  await assert.rejects(makeFolder(join(file, 'below')), { code: 'ENOTDIR' });
});
