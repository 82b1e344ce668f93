// The examples in the READMEs of packages that others can use alone, run against the compiled packages. lib/ttrpc has two that
// communicate, and a test of its own.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { repository } from '../harness/repository.js';

/** A directory from which the packages can be imported. */
const compiled = dirname(fileURLToPath(import.meta.url));

for (const directory of ['lib/gate', 'lib/tlog', 'lib/x509'])
  test(`the example of ${directory} prints what its README says`, (t) => {
    const readme = readFileSync(join(repository, directory, 'README.md'), 'utf8');
    const [, example, output] = /```ts\n([^]*?)```[^`]*```text\n([^]*?)```/.exec(readme) ?? [];
    assert.ok(example !== undefined && output !== undefined, 'there is no block of ts before one of text');
    const work = mkdtempSync(join(compiled, 'readme-'));
    t.after(() => rmSync(work, { recursive: true }));
    writeFileSync(join(work, 'example.mjs'), example);
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(work, 'example.mjs')], {
      encoding: 'utf8',
    });
    assert.equal(stderr, '');
    assert.equal(status, 0);
    assert.equal(stdout, output);
    assert.ok(existsSync(join(repository, directory, 'api-report.md')));
  });
