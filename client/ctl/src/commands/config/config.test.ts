import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { membersOf, type MethodName } from '@kata-agent/catalogue';
import { runBinary } from '../../testing/program.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-ctl-'));
after(() => rmSync(directory, { recursive: true }));

function document(text: string, mode = 0o644): string {
  const path = join(directory, 'config.toml');
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const pod =
  '[agent]\nlog_level = "debug"\nlock = true\n\n[api]\nallowed_endpoints = ["@pod", "ReadStdout"]\n';

test('config check prints what is served and what is not', () => {
  const { code, stdout } = runBinary(['config', 'check', document(pod), '--format', 'json']);
  assert.equal(code, 0);
  const value = JSON.parse(stdout) as Record<'served' | 'notServed', MethodName[]>;
  const allowed = [...membersOf('@pod'), 'ReadStdout'].sort();
  assert.deepEqual([...value.served].sort(), allowed);
  assert.ok(value.notServed.includes('ExecProcess'));
  const text = runBinary(['config', 'check', document(pod)]);
  assert.match(text.stdout, /config\.toml: valid, 0 warnings/);
  assert.match(text.stdout, /not served \(\d+\)\n  .*ExecProcess/);
});

test('config check prints every error with its position on standard error, and exits with 1', () => {
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

test('config check ignores the permissions of the file', () => {
  assert.equal(runBinary(['config', 'check', document(pod, 0o666)]).code, 0);
});

test('an invalid configuration exits with 1, an unreadable file with 3', () => {
  const large = runBinary(['config', 'check', document('x'.repeat(10 << 20))]);
  assert.equal(large.code, 1);
  assert.match(large.stderr, /at most 256KiB/);
  for (const command of ['check', 'explain', 'preflight', 'migrate', 'digest']) {
    for (const [path, reason] of [
      [join(directory, 'none.toml'), 'no such file'],
      [directory, 'it is a directory'],
    ] as const) {
      // A digest is of all documents of a directory.
      if (command === 'digest' && path === directory) continue;
      const { code, stdout, stderr } = runBinary(['config', command, path]);
      assert.equal(code, 3, `${command} ${stderr}`);
      assert.ok(stderr.includes(`cannot read ${path}: ${reason}`), stderr);
      if (command !== 'check')
        assert.equal(stdout, '', 'standard output can be redirected to a file: no error in it');
    }
  }
});

test('a configuration is read only once, so a pipe works', () => {
  const fifo = join(directory, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const writer = spawn('sh', ['-c', `printf '%s' "$1" > "$0"`, fifo, pod]);
  const { code, stdout } = runBinary(['config', 'check', fifo]);
  writer.kill();
  assert.equal(code, 0);
  assert.match(stdout, /fifo: valid/);
});

test('with --format json an error is one line of JSON with its diagnostics', () => {
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

test('preflight rejects an unknown listener', () => {
  const { code, stderr } = runBinary(['config', 'preflight', document(pod), '--listener', 'hots']);
  assert.equal(code, 2);
  assert.match(stderr, /--listener 'hots'.*\n +listeners: server_addr/);
});

test('with several listeners, each is checked, explained and compared by name', () => {
  const text = (tenant: string): string =>
    `[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\nallowed_endpoints = ["@pod"]\n[[listener]]\nname = "tenant"\naddress = "unix:///run/t"\nallowed_endpoints = ${tenant}\n`;
  const both = document(text('["ReadStdout"]'));
  const checked = runBinary(['config', 'check', both]);
  assert.match(
    checked.stdout,
    /^served on host \(14\)\n[^]*^served on tenant \(1\)\n {2}ReadStdout\nnot served \(27\)\n/m,
  );
  const plain = JSON.parse(runBinary(['config', 'check', both, '--format', 'json']).stdout) as {
    readonly servedBy: Readonly<Record<string, readonly string[]>>;
  };
  assert.deepEqual(plain.servedBy['tenant'], ['ReadStdout']);
  const explained = runBinary(['config', 'explain', both, '--format', 'json']);
  const { matrix } = JSON.parse(explained.stdout) as { readonly matrix: readonly object[] };
  assert.deepEqual(
    matrix.find((row) => 'method' in row && row.method === 'ReadStdout'),
    { method: 'ReadStdout', listeners: { host: 'not served', tenant: 'served' } },
  );
  const host = runBinary(['config', 'preflight', both]);
  assert.equal(host.code, 0);
  assert.match(host.stdout, /config\.toml, listener host, the Go runtime: pods run\n/);
  assert.equal(runBinary(['config', 'preflight', both, '--listener', 'tenant']).code, 4);
  const wider = join(directory, 'wider.toml');
  writeFileSync(wider, text('["ReadStdout", "ExecProcess"]'));
  const compared = runBinary(['config', 'diff', both, wider]);
  assert.equal(compared.code, 4);
  assert.match(compared.stdout, /^opens \(1\)\n {2}endpoint ExecProcess on tenant: served now\n/);
  const pod = join(directory, 'pod.yaml');
  writeFileSync(
    pod,
    'apiVersion: v1\nkind: Pod\nmetadata: { name: p }\nspec: { containers: [{ name: c, image: "busybox:1" }] }\n',
  );
  const withPod = (...more: string[]) => runBinary(['config', 'check', both, '--pod', pod, ...more]);
  assert.equal(withPod('--listener', 'host').code, withPod().code);
  const onTenant = withPod('--listener', 'tenant');
  assert.equal(onTenant.code, 4);
  assert.match(onTenant.stdout, /add "CreateContainer" to allowed_endpoints of listener "tenant"/);
  assert.match(withPod('--listener', 'hsot').stderr, /the configuration has no such listener/);
});

test('config explain prints the source of each value, and why a method is served or not', () => {
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

test('config explain prints which overrides of a kernel command line take effect', () => {
  const line = 'quiet agent.log=info';
  const { code, stdout, stderr } = runBinary([
    'config',
    'explain',
    document(pod),
    '--kernel-command-line',
    line,
  ]);
  assert.equal(code, 0);
  assert.match(stderr, /agent\.log: ignored/);
  assert.match(stdout, /locked by .*config\.toml:3/);
});

test('config explain of an invalid document exits with 1', () => {
  assert.equal(runBinary(['config', 'explain', document('nope = 1\n')]).code, 1);
});

test('further documents are checked and explained with the base document', () => {
  const base = document(
    `${pod}[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\n[delivery]\naccept = ["initdata"]\n`,
  );
  const later = join(directory, 'later.toml');
  writeFileSync(later, '[[listener]]\nname = "host"\nblocked_endpoints = ["ReadStdout"]\n');
  const alone = runBinary(['config', 'check', base]);
  assert.equal(alone.code, 0);
  assert.match(alone.stderr, /further documents are delivered in the guest/);
  const { stdout } = runBinary(['config', 'explain', base, later, '--format', 'json']);
  const value = JSON.parse(stdout) as {
    endpoints: {
      method: string;
      listener: string;
      served: boolean;
      findings: { text: string; decides: boolean }[];
    }[];
  };
  const read = value.endpoints.find(({ method }) => method === 'ReadStdout');
  assert.equal(read?.listener, 'host');
  assert.equal(read.served, false);
  assert.deepEqual(
    read.findings.map(({ text, decides }) => [text, decides]),
    [
      ['allowed_endpoints has "ReadStdout"', false],
      ['blocked_endpoints of listener "host" has "ReadStdout"', true],
    ],
  );
  writeFileSync(later, '[agent]\nlock = false\n');
  const { code, stderr } = runBinary(['config', 'check', base, later]);
  assert.equal(code, 1);
  assert.match(stderr, /later\.toml:2:1: error\[KA1709\]: lock is allowed only in the base document/);
  assert.equal(runBinary(['config', 'check', base, join(directory, 'none.toml')]).code, 3);
});
