import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExecProcessRequest } from '@kata-agent/protocol/agent';
import { parseSuite, type TestSuite } from './parse-suite.js';

function suiteOf(text: string): TestSuite {
  const parsed = parseSuite(text, 'cases.test.yaml');
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.diagnostics.map(({ message }) => message).join('\n'));
  return parsed.suite;
}

/** Returns the errors in a text, as `line:column: message`. */
function faultsOf(text: string): readonly string[] {
  const parsed = parseSuite(text, 'cases.test.yaml');
  assert.ok(!parsed.ok, 'it should be rejected');
  for (const { help } of parsed.diagnostics) assert.ok(help !== undefined && help !== '');
  return parsed.diagnostics.map(({ span, message }) => `${span?.line}:${span?.column}: ${message}`);
}

const whole = `configuration: ../confidential.toml
fragments: [no-shell.toml]
tests:
  - name: no shell
    method: ExecProcess
    listener: host
    peer: { kind: vsock, cid: 3, claimed_operator: alice }
    container: { id: web, state: paused, claimed: { image: "app:1", annotations: { a: b } } }
    sandbox: { id: s, containers: [web, db] }
    request:
      container_id: web
      process: { Args: [/bin/sh, -c, date], Env: [A=1], Terminal: true }
    expect: deny
    rule: known-commands
    image:
      reference: app
      digest: "sha256:a"
      manifest_digest: "sha256:b"
      config: { entrypoint: [/a], cmd: [""], env: [A=], user: "", working_dir: /w, volumes: [/v], stop_signal: "9" }
`;

test('a case with every key', () => {
  const { configuration, fragments, cases } = suiteOf(whole);
  assert.equal(configuration, '../confidential.toml');
  assert.deepEqual(fragments, ['no-shell.toml']);
  const [only, ...rest] = cases;
  assert.deepEqual(rest, []);
  assert.ok(only !== undefined);
  const { request, span, ...others } = only;
  assert.deepEqual([span.line, span.column], [4, 11]);
  assert.deepEqual(others, {
    name: 'no shell',
    method: 'ExecProcess',
    listener: 'host',
    peer: { kind: 'vsock', cid: 3, claimedOperator: 'alice' },
    container: { id: 'web', state: 'paused', claimed: { image: 'app:1', annotations: { a: 'b' } } },
    sandbox: { id: 's', containers: ['web', 'db'] },
    image: {
      from: 'pulled',
      reference: 'app',
      digest: 'sha256:a',
      manifestDigest: 'sha256:b',
      config: {
        entrypoint: ['/a'],
        cmd: [''],
        env: ['A='],
        user: '',
        workingDir: '/w',
        volumes: ['/v'],
        stopSignal: '9',
      },
    },
    expect: 'deny',
    rule: 'known-commands',
  });
  const exec = request as ExecProcessRequest;
  assert.equal(exec.containerId, 'web');
  assert.deepEqual(exec.process?.Args, ['/bin/sh', '-c', 'date']);
});

test('JSON is YAML, and lowerCamelCase is accepted too', () => {
  const text = JSON.stringify({
    tests: [
      { name: 'a', method: 'SignalProcess', request: { containerId: 'x', signal: 9 }, expect: 'allow' },
    ],
  });
  assert.equal(suiteOf(text).cases[0]?.method, 'SignalProcess');
});

test('each error has its position', () => {
  assert.deepEqual(faultsOf(''), ['1:1: the file must be a mapping', '1:1: no tests']);
  assert.deepEqual(faultsOf('test: []\ntests: [{ name: a, method: GetMetrics, expect: allow }]\n'), [
    '1:1: the file has no key "test"',
  ]);
  assert.deepEqual(faultsOf(whole.replace('method: ExecProcess', 'method: ExecProces')), [
    '5:13: unknown method "ExecProces"',
  ]);
  assert.deepEqual(faultsOf(whole.replace('expect: deny', 'expect: refuse')), [
    '13:13: expect must be one of allow, deny, audit',
  ]);
  assert.deepEqual(faultsOf(whole.replace('expect: deny', 'expect: allow')), [
    '14:11: no rule decides on an allowed call',
  ]);
  assert.deepEqual(faultsOf(whole.replace('    expect: deny\n', '')), ['4:5: a test has no expect']);
  assert.deepEqual(faultsOf(whole.replace('cid: 3', 'cid: three')), [
    '7:31: cid must be a non-negative integer',
  ]);
  assert.match(faultsOf(whole.replace('Args', 'Argz')).join('\n'), /^12:18: .*key "Argz" is unknown$/);
  assert.match(faultsOf(whole.replace('Terminal: true', 'Terminal: 1')).join('\n'), /^11:7: .*[Tt]erminal/);
  assert.match(faultsOf('tests: [\n').join('\n'), /^2:1: /);
  assert.match(faultsOf('tests:\n  - name: a\n    name: b\n').join('\n'), /^3:5: .*unique/);
});

test('an alias bomb is an error, not a crash', () => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
  for (let level = 1; level < 12; level += 1)
    lines.push(
      `a${level}: &a${level} [${Array(9)
        .fill(`*a${level - 1}`)
        .join(', ')}]`,
    );
  const bomb = lines.map((line) => `      ${line}`).join('\n');
  assert.ok(
    faultsOf(`tests:\n  - name: a\n    method: GetMetrics\n    expect: allow\n    request:\n${bomb}\n`)
      .length > 0,
  );
});
