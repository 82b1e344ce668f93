import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runProgram } from '@kata-agent/cli';
import { fakeIo } from '@kata-agent/cli/testing/fake-io';
import { parseWitnessKey } from '@kata-agent/tlog';
import { program } from './program.js';

/** Runs a command line; returns the exit code and the outputs. */
async function run(
  ...argv: readonly string[]
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const io = fakeIo();
  const code = await runProgram(program, argv, io);
  return { code, stdout: io.stdout.text, stderr: io.stderr.text };
}

test('every command has help with an example, and names its help after wrong use', async () => {
  for (const { path, examples } of program.commands) {
    const { code, stdout } = await run(path, '--help');
    assert.equal(code, 0);
    assert.ok(stdout.startsWith(`Usage: kata-realm ${path}`), stdout);
    for (const { line } of examples) assert.ok(stdout.includes(line), line);
    const wrong = await run(path, '--nope');
    assert.equal(wrong.code, 2);
    assert.ok(wrong.stderr.includes(`for help: kata-realm ${path} --help`), wrong.stderr);
  }
});

test('an error begins with the name of the program', async () => {
  for (const argv of [['serve'], ['witness-key'], ['collect', '--to', 'x']] as const) {
    const { code, stderr } = await run(...argv);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /^kata-realm: /);
  }
});

test('witness-key writes a key that only its owner reads, prints the public half, and replaces no file', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-realm-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'witness.key');
  const words = ['witness-key', '--name', 'realm.example/w1', '--out', file];
  const { code, stdout, stderr } = await run(...words);
  assert.equal(code, 0, stderr);
  const text = readFileSync(file, 'utf8');
  assert.equal(stdout.trim(), parseWitnessKey(text.trim()).verifier.toString());
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const again = await run(...words);
  assert.equal(again.code, 3);
  assert.match(again.stderr, /keys are not replaced/);
  assert.equal(readFileSync(file, 'utf8'), text);
});
