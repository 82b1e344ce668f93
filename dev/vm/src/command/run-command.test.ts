import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { runCommand } from './run-command.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-vm-command-'));
after(() => rmSync(directory, { recursive: true }));
const file = join(directory, 'file');
writeFileSync(file, '');

describe('the command of npm run vm', () => {
  const run = (
    words: readonly [program: string, ...args: string[]],
    stopRequested: Promise<string> = new Promise(() => undefined),
  ) => runCommand(words, { env: process.env, stopRequested });

  it('returns its exit code as a shell does', async () => {
    assert.equal(await run(['sh', '-c', 'exit 7']), 7);
    assert.equal(await run(['sh', '-c', 'kill -TERM $$']), 128 + 15);
    assert.equal(await run([join(directory, 'gone')]), 127);
    assert.equal(await run([file]), 126);
  });

  it('is terminated when the machine is stopped', async () => {
    assert.equal(await run(['sleep', '1000'], Promise.resolve('--stop')), 128 + 15);
  });
});
