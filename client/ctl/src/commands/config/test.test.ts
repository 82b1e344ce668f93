import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runBinary } from '../../testing/program.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-ctl-'));
after(() => rmSync(directory, { recursive: true }));

function written(name: string, text: string): string {
  const path = join(directory, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  return path;
}

written('pod.toml', '[api]\nallowed_endpoints = ["@pod"]\n');
const good = written(
  'good/pod.test.yaml',
  `configuration: ../pod.toml
tests:
  - { name: a pod starts, method: CreateSandbox, expect: allow }
  - { name: no exec, method: ExecProcess, request: { container_id: web }, expect: deny }
`,
);

test('config test runs the files of a directory, and exits with 0 if all decisions match', () => {
  const { code, stdout, stderr } = runBinary(['config', 'test', join(directory, 'good')]);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, `${good}: 2 passed\n`);
});

test('a different decision is reported with its position, and exits with 4', () => {
  const bad = written(
    'bad.test.json',
    JSON.stringify({ tests: [{ name: 'exec is served', method: 'ExecProcess', expect: 'allow' }] }),
  );
  const { code, stdout } = runBinary(['config', 'test', bad, '--configuration', join(directory, 'pod.toml')]);
  assert.equal(code, 4);
  assert.match(stdout, /bad\.test\.json: 0 passed, 1 failed\n.*bad\.test\.json:1:\d+: exec is served\n/);
  assert.match(stdout, /expected allow, but got deny\n {2}not in allowed_endpoints \(.*pod\.toml:2\)/);
  const json = runBinary([
    'config',
    'test',
    good,
    bad,
    '--configuration',
    join(directory, 'pod.toml'),
    '--format',
    'json',
  ]);
  assert.equal(json.code, 4);
  const value = JSON.parse(json.stdout) as { passed: number; failed: number; tests: { passed: boolean }[] };
  assert.deepEqual([value.passed, value.failed], [2, 1]);
});

test('a fragment narrows the configuration as SetPolicy does', () => {
  written('narrow.toml', '[api]\nblocked_endpoints = ["CreateSandbox"]\n');
  const path = written(
    'narrow.test.yaml',
    'configuration: pod.toml\nfragments: [narrow.toml]\ntests: [{ name: closed, method: CreateSandbox, expect: deny }]\n',
  );
  const { code, stdout, stderr } = runBinary(['config', 'test', path]);
  assert.equal(code, 0, stdout + stderr);
});

test('invalid files and wrong use are rejected', () => {
  const none = written('none.test.yaml', 'tests: [{ name: a, method: GetMetrics, expect: allow }]\n');
  const without = runBinary(['config', 'test', none]);
  assert.equal(without.code, 2);
  assert.match(without.stderr, /does not name the configuration to test/);
  const wrong = written('wrong.test.yaml', 'tests: [{ name: a, method: GetMetric, expect: allow }]\n');
  const misspelt = runBinary(['config', 'test', wrong, '--configuration', join(directory, 'pod.toml')]);
  assert.equal(misspelt.code, 1);
  assert.match(misspelt.stderr, /wrong\.test\.yaml:1:\d+: error\[KA2005\]: unknown method "GetMetric"/);
  mkdirSync(join(directory, 'empty'));
  assert.equal(runBinary(['config', 'test', join(directory, 'empty')]).code, 2);
  assert.equal(runBinary(['config', 'test', join(directory, 'gone.test.yaml')]).code, 3);
});

test('rules of the configuration and of fragments decide, and are named', () => {
  written(
    'rules.toml',
    `[api]
allowed_endpoints = ["ExecProcess"]
[[api.rule]]
name = "known-commands"
endpoints = ["ExecProcess"]
expression = 'args[0] == "/bin/check"'
[[api.rule]]
name = "no-terminal"
endpoints = ["ExecProcess"]
expression = "!terminal"
enforcement = "audit"
`,
  );
  written(
    'paused.toml',
    `[[api.rule]]
name = "while-running"
endpoints = ["ExecProcess"]
expression = 'container.state == "running"'
`,
  );
  const path = written(
    'rules.test.yaml',
    `configuration: rules.toml
fragments: [paused.toml]
tests:
  - name: the check
    method: ExecProcess
    request: { container_id: web, process: { Args: [/bin/check] } }
    expect: allow
  - name: a shell
    method: ExecProcess
    request: { container_id: web, process: { Args: [/bin/sh] } }
    expect: deny
    rule: known-commands
  - name: on a terminal
    method: ExecProcess
    request: { container_id: web, process: { Args: [/bin/check], Terminal: true } }
    expect: audit
    rule: no-terminal
  - name: while it is paused
    method: ExecProcess
    container: { state: paused }
    request: { container_id: web, process: { Args: [/bin/check] } }
    expect: deny
    rule: while-running
`,
  );
  const { code, stdout, stderr } = runBinary(['config', 'test', path]);
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /4 passed/);
});

test('a rule that needs the image is evaluated with it, and without it the test fails and says so', () => {
  const configuration = written(
    'image.toml',
    `[api]\nallowed_endpoints = ["@pod"]\n[[api.rule]]\nname = "own"\nendpoints = ["CreateContainer"]\nexpression = 'image.digest == "sha256:a"'\n`,
  );
  const request = { storages: [{ driver: 'image_guest_pull', source: 'app' }] };
  const ran = (more: object, expect = 'allow') => {
    const tests = [{ name: 'a', method: 'CreateContainer', request, expect, ...more }];
    const path = written('image.test.json', JSON.stringify({ tests }));
    return runBinary(['config', 'test', path, '--configuration', configuration]);
  };
  assert.equal(ran({ image: { digest: 'sha256:a' } }).code, 0);
  assert.equal(ran({ image: { digest: 'sha256:b' } }, 'deny').code, 0);
  assert.equal(ran({ image: { from: 'host' } }, 'deny').code, 0);
  for (const expect of ['allow', 'deny']) {
    const { code, stdout } = ran({}, expect);
    assert.equal(code, 4);
    assert.match(stdout, /CreateContainer: not evaluated: rule own, .*\n  help: add the key image/);
  }
});
