import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { membersOf, type MethodName } from '@kata-agent/catalogue';
import { runBinary } from '../../testing/program.js';

const folder = mkdtempSync(join(tmpdir(), 'kata-ctl-'));
after(() => rmSync(folder, { recursive: true }));

function document(text: string, mode = 0o644): string {
  const path = join(folder, 'config.toml');
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const pod =
  '[agent]\nlog_level = "debug"\nlock = true\n\n[api]\nallowed_endpoints = ["@pod", "ReadStdout"]\n';

test('config check says what is served and what is not', () => {
  const { code, stdout } = runBinary(['config', 'check', document(pod), '--format', 'json']);
  assert.equal(code, 0);
  const value = JSON.parse(stdout) as Record<'served' | 'notServed', MethodName[]>;
  const allowed = [...membersOf('@pod'), 'ReadStdout'].sort();
  assert.deepEqual([...value.served].sort(), allowed);
  assert.ok(value.notServed.includes('ExecProcess'));
  const text = runBinary(['config', 'check', document(pod)]);
  assert.match(text.stdout, /config\.toml: fine, 0 warnings/);
  assert.match(text.stdout, /not served \(\d+\)\n  .*ExecProcess/);
});

test('config check prints every error with its place on standard error, and ends with 1', () => {
  const path = document('[agent]\nlog_levle = "info"\n[api]\nallowed_endpoints = ["ExecProces"]\n');
  const { code, stdout, stderr } = runBinary(['config', 'check', path]);
  assert.equal(code, 1);
  assert.ok(stderr.includes(`${path}:2:1: `), stderr);
  assert.ok(stderr.includes(`${path}:4:22: `), stderr);
  assert.match(stderr, /\^{10,}\nhelp: .*"ExecProcess"/);
  assert.match(stdout, /^2 errors, /);
  const json = runBinary(['config', 'check', path, '--format', 'json']);
  assert.equal(json.code, 1);
  assert.equal(json.stderr, '');
  assert.equal((JSON.parse(json.stdout) as { diagnostics: object[] }).diagnostics.length, 2);
});

test('config check takes a file that anybody may write, for it is not the guest’s', () => {
  assert.equal(runBinary(['config', 'check', document(pod, 0o666)]).code, 0);
});

test('what cannot be a configuration ends with 1, what cannot be read with 3', () => {
  const large = runBinary(['config', 'check', document('x'.repeat(10 << 20))]);
  assert.equal(large.code, 1);
  assert.match(large.stderr, /at most 256KiB/);
  for (const command of ['check', 'explain', 'preflight', 'migrate', 'digest']) {
    for (const [path, reason] of [
      [join(folder, 'none.toml'), 'there is no such file'],
      [folder, 'it is a folder'],
    ] as const) {
      const { code, stdout, stderr } = runBinary(['config', command, path]);
      assert.equal(code, 3, `${command} ${stderr}`);
      assert.ok(stderr.includes(`cannot read ${path}: ${reason}`), stderr);
      if (command !== 'check') assert.equal(stdout, '', 'what may be a new file by now holds no error');
    }
  }
});

test('a configuration is read once: it may come through a pipe', () => {
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const writer = spawn('sh', ['-c', `printf '%s' "$1" > "$0"`, fifo, pod]);
  const { code, stdout } = runBinary(['config', 'check', fifo]);
  writer.kill();
  assert.equal(code, 0);
  assert.match(stdout, /fifo: fine/);
});

test('an error in JSON is all that is said, with what is wrong in it', () => {
  const path = document('[api]\nallowed_endpoints = ["ExecProces"]\n');
  for (const args of [
    ['preflight', path],
    ['diff', path, path],
  ]) {
    const { code, stdout, stderr } = runBinary(['config', ...args, '--format', 'json']);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    const { error } = JSON.parse(stderr) as { error: { kind: string; diagnostics: { help: string }[] } };
    assert.equal(error.kind, 'command');
    assert.match(error.diagnostics[0]?.help ?? '', /ExecProcess/);
  }
});

test('preflight does not take a misspelt listener for a closed one', () => {
  const { code, stderr } = runBinary(['config', 'preflight', document(pod), '--listener', 'hots']);
  assert.equal(code, 2);
  assert.match(stderr, /--listener 'hots'.*\n +it has: server_addr/);
});

test('config explain says where each value comes from, and why a method is served or not', () => {
  const path = document(pod);
  const { code, stdout } = runBinary(['config', 'explain', path, '--format', 'json']);
  assert.equal(code, 0);
  const value = JSON.parse(stdout) as {
    settings: { key: string; source: string }[];
    endpoints: { method: string; served: boolean; reason: string }[];
  };
  assert.equal(value.settings.find(({ key }) => key === 'log_level')?.source, `${path}:2`);
  const exec = value.endpoints.find(({ method }) => method === 'ExecProcess');
  assert.equal(exec?.served, false);
  assert.ok(exec?.reason.includes(`${path}:6`), exec?.reason);
  const text = runBinary(['config', 'explain', path]).stdout;
  assert.match(text, /log_level = "debug" +# .*config\.toml:2/);
});

test('config explain shows what becomes of a host’s kernel line', () => {
  const line = 'quiet agent.log=info';
  const { code, stdout, stderr } = runBinary(['config', 'explain', document(pod), '--kernel-line', line]);
  assert.equal(code, 0);
  assert.match(stderr, /agent\.log: ignored/);
  assert.match(stdout, /locked by .*config\.toml:3/);
});

test('config explain of a wrong document is 1', () => {
  assert.equal(runBinary(['config', 'explain', document('nope = 1\n')]).code, 1);
});

test('further documents are checked and explained with the first', () => {
  const base = document(
    `${pod}[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\n[delivery]\naccept = ["initdata"]\n`,
  );
  const later = join(folder, 'later.toml');
  writeFileSync(later, '[[listener]]\nname = "host"\nblocked_endpoints = ["ReadStdout"]\n');
  const alone = runBinary(['config', 'check', base]);
  assert.equal(alone.code, 0);
  assert.match(alone.stderr, /further documents come in the guest/);
  const { stdout } = runBinary(['config', 'explain', base, later, '--format', 'json']);
  const value = JSON.parse(stdout) as {
    endpoints: {
      method: string;
      listener: string;
      served: boolean;
      voices: { says: string; decides: boolean }[];
    }[];
  };
  const read = value.endpoints.find(({ method }) => method === 'ReadStdout');
  assert.equal(read?.listener, 'host');
  assert.equal(read.served, false);
  assert.deepEqual(
    read.voices.map(({ says, decides }) => [says, decides]),
    [
      ['allowed_endpoints has "ReadStdout"', false],
      ['blocked_endpoints of listener "host" has "ReadStdout"', true],
    ],
  );
  writeFileSync(later, '[agent]\nlock = false\n');
  const { code, stderr } = runBinary(['config', 'check', base, later]);
  assert.equal(code, 1);
  assert.match(stderr, /later\.toml:2:1: lock may stand in the base document alone/);
  assert.equal(runBinary(['config', 'check', base, join(folder, 'none.toml')]).code, 3);
});
