import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type StarterName, starters } from '@kata-agent/analysis';
import { membersOf, type MethodName } from '@kata-agent/catalogue';
import { runBinary } from '../../testing/program.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-ctl-'));
after(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

/** Returns what `config check` lists as served. */
function served(text: string): readonly MethodName[] {
  const { code, stdout } = runBinary(['config', 'check', file('made.toml', text), '--format', 'json']);
  const value = JSON.parse(stdout) as { readonly served: MethodName[]; readonly diagnostics: object[] };
  assert.equal(code, 0, stdout);
  assert.deepEqual(value.diagnostics, [], stdout);
  return value.served;
}

test('config init prints starters that load without warnings and serve the stated endpoints', () => {
  const expected: { readonly [S in StarterName]: (names: readonly MethodName[]) => void } = {
    minimal: (names) => assert.deepEqual([...names].sort(), [...membersOf('@pod')].sort()),
    open: (names) => assert.equal(names.length, membersOf('*').length),
    observe: (names) => {
      for (const name of names) assert.match(name, /^(Get|List|Read|Stats)/);
    },
    confidential: (names) => {
      for (const closed of ['ExecProcess', 'ReadStdout', 'WriteStdin', 'GetDiagnosticData'] as const)
        assert.ok(!names.includes(closed), closed);
      assert.ok(names.includes('CopyFile'));
    },
  };
  for (const { name, text } of starters) {
    const { code, stdout } = runBinary(['config', 'init', '--starter', name]);
    assert.equal(code, 0);
    assert.equal(stdout, text);
    expected[name](served(stdout));
  }
  assert.equal(runBinary(['config', 'init']).stdout, starters[0]?.text);
});

test('config init rejects an unknown starter', () => {
  const { code, stderr } = runBinary(['config', 'init', '--starter', 'paranoid']);
  assert.equal(code, 2);
  assert.match(stderr, /minimal, confidential, observe, open/);
});

test('the examples match the starters', () => {
  const examples = fileURLToPath(new URL('../../../../../examples/', import.meta.url));
  for (const { name, text } of starters)
    assert.equal(readFileSync(`${examples}${name}.toml`, 'utf8'), text, `npm run generate: ${name}`);
});

test('config migrate prints a valid configuration on standard output, and lost settings on standard error', () => {
  const settings = file(
    'agent.toml',
    'log_level = "debug"\ncolour = 1\n[endpoints]\nallowed = ["WaitProcessRequest"]\n',
  );
  const { code, stdout, stderr } = runBinary(['config', 'migrate', settings]);
  assert.equal(code, 0);
  assert.match(stderr, /agent\.toml:2:1: warning\[KA1902\]: Kata's agent has no setting colour/);
  assert.deepEqual(served(stdout), ['WaitProcess']);
  assert.match(stdout, /\[agent\]\nlog_level = "debug"\n/);
  const policy = file('policy.rego', 'package agent_policy\ndefault WaitProcessRequest := false\n');
  const json = runBinary(['config', 'migrate', settings, policy, '--format', 'json']);
  assert.equal(json.stderr, '');
  const value = JSON.parse(json.stdout) as { text: string; diagnostics: object[] };
  assert.match(value.text, /allowed_endpoints = \[\]/);
  assert.equal(value.diagnostics.length, 1);
});

test('config migrate of any other file exits with 1', () => {
  const current = file('current.toml', '[api]\nallowed_endpoints = ["*"]\n');
  const { code, stdout, stderr } = runBinary(['config', 'migrate', current]);
  assert.equal(code, 1);
  assert.equal(stdout, '', 'standard output can be redirected to a file');
  assert.match(stderr, /current\.toml:1:2: error\[KA1901\]: this is already a configuration of this agent/);
  const missing = runBinary(['config', 'migrate', join(directory, 'none.toml')]);
  assert.equal(missing.code, 3);
  assert.match(missing.stderr, /cannot read .*none\.toml: no such file/);
});

test('config schema prints the schema in docs', () => {
  const { code, stdout } = runBinary(['config', 'schema']);
  assert.equal(code, 0);
  const schema = JSON.parse(stdout) as { title: string; properties: object };
  assert.equal(schema.title, 'Configuration of kata-agent');
  assert.ok('agent' in schema.properties);
});
