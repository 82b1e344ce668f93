import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ctlProgram, repository } from '../harness/repository.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-guide-commands-'));
after(() => rmSync(directory, { recursive: true }));
symlinkSync(join(repository, 'examples'), join(directory, 'examples'));

// `npm test` bundles the program to a file that is not executable.
const start = `#!/bin/sh\nexec '${process.execPath}' '${ctlProgram}' "$@"\n`;
writeFileSync(join(directory, 'kata-agent-ctl'), start, { mode: 0o755 });

const page = readFileSync(join(repository, 'docs/writing-a-configuration.md'), 'utf8');

/** Files that the page supposes: an audit log, a configuration of Kata's agent, earlier and further documents. */
const supposed = /audit\.log|agent\.toml|old\.toml|narrow\.toml/;

const commands = [...page.matchAll(/^```sh\n([^]*?)^```/gm)]
  .flatMap(([, block = '']) => block.trim().split('\n'))
  .filter((line) => line.startsWith('kata-agent-ctl ') && !supposed.test(line));

test('the commands of “Writing a configuration” succeed in their order, as they are printed', () => {
  assert.ok(commands.some((line) => line.includes('config generate')) && commands.length >= 6);
  for (const command of commands) {
    const { status, stderr } = spawnSync('sh', ['-c', command], {
      cwd: directory,
      env: { ...process.env, PATH: `${directory}:${process.env['PATH'] ?? ''}` },
      encoding: 'utf8',
    });
    assert.equal(status, 0, `${command}\n${stderr}`);
  }
});
