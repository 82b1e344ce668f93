import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeDirectory } from './file-layer.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-audit-'));
after(() => rmSync(directory, { recursive: true }));

test('creates a directory and its parents with mode 0700; an existing one is unchanged', async () => {
  const path = join(directory, 'a', 'b', 'c');
  await makeDirectory(path);
  await makeDirectory(path);
  for (const made of [path, join(directory, 'a')]) assert.equal(statSync(made).mode & 0o7777, 0o700);
});

test('reports a directory that cannot be created, without endless retries', async () => {
  await assert.rejects(makeDirectory('/proc/nothing/of/ours'), { code: 'ENOENT' });
  const file = join(directory, 'file');
  writeFileSync(file, '');
  await assert.rejects(makeDirectory(join(file, 'below')), { code: 'ENOTDIR' });
});
