import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { replaceFile, replaceFileAsync, type ReplaceOptions } from './replace-file.js';

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'kata-replace-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

type Replace = (path: string, content: string, options: ReplaceOptions) => Promise<void>;

const both: readonly (readonly [name: string, Replace])[] = [
  ['replaceFile', async (...args) => replaceFile(...args)],
  ['replaceFileAsync', replaceFileAsync],
];

for (const [name, replace] of both)
  for (const survives of ['process', 'machine'] as const) {
    test(`${name}: the content and the mode are the new ones, and nothing is left (${survives})`, async (t) => {
      const at = directory(t);
      const path = join(at, 'file');
      for (const [text, mode] of [
        ['one', 0o600],
        ['two', 0o644],
        ['', 0o666],
      ] as const) {
        await replace(path, text, { mode, survives });
        assert.equal(readFileSync(path, 'utf8'), text);
        assert.equal(statSync(path).mode & 0o777, mode);
      }
      assert.deepEqual(readdirSync(at), ['file']);
    });

    test(`${name}: links in its place and at the temporary path are replaced, not followed (${survives})`, async (t) => {
      const at = directory(t);
      const [path, other] = [join(at, 'file'), join(at, 'other')];
      writeFileSync(other, 'other');
      symlinkSync(other, path);
      symlinkSync(other, `${path}.new`);
      await replace(path, 'new', { mode: 0o600, survives });
      assert.equal(readFileSync(other, 'utf8'), 'other');
      assert.ok(lstatSync(path).isFile());
      assert.equal(existsSync(`${path}.new`), false);
    });

    test(`${name}: a failure leaves the old content, and nothing else (${survives})`, async (t) => {
      const at = directory(t);
      const path = join(at, 'file');
      mkdirSync(path);
      await assert.rejects(replace(path, 'new', { mode: 0o600, survives }), { code: 'EISDIR' });
      assert.deepEqual(readdirSync(at), ['file']);
      await assert.rejects(replace(join(at, 'none', 'file'), 'new', { mode: 0o600, survives }), {
        code: 'ENOENT',
      });
    });
  }
