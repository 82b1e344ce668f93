import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Ended, runBinary } from '../../testing/program.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-agent-ctl-preflight-'));
after(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const pod = (name: string, more = ''): string =>
  `kind: Pod\nmetadata: { name: ${name} }\nspec:\n  automountServiceAccountToken: false\n` +
  `  containers: [{ name: c, image: i, command: [/run]${more} }]\n`;
const plain = file('plain.yaml', pod('plain'));
const privileged = file('privileged.yaml', pod('privileged', ', securityContext: { privileged: true }'));
const open = file('open.toml', '[api]\nallowed_endpoints = ["@pod"]\n');

const preflight = (...more: readonly string[]): Ended => runBinary(['config', 'preflight', ...more]);

interface Value {
  readonly workloads?: readonly {
    readonly name: string;
    readonly runtime: string;
    readonly starts: boolean;
    readonly breaks?: { readonly method: string; readonly phase: string };
  }[];
}

test('each workload is printed with each runtime: where it stops, or that it starts', () => {
  const { code, stdout, stderr } = preflight(open, plain, privileged);
  assert.equal(code, 4, stderr);
  for (const runtime of ['the Go runtime', 'runtime-rs']) {
    assert.ok(stdout.includes(`Pod plain (${plain}:1:1), ${runtime}: starts\n`), stdout);
    assert.ok(
      stdout.includes(
        `Pod privileged (${privileged}:1:1), ${runtime}: stops at CreateContainer (create)\n  CreateContainer: privileged_containers = "refuse"`,
      ),
      stdout,
    );
  }
  assert.match(stdout, /^lost\n {2}kubectl logs +without ReadStdout, ReadStderr\n/m);
  assert.doesNotMatch(stdout, /pods run|refused with any configuration/);
  const json = preflight(open, plain, privileged, '--runtime', 'go', '--format', 'json');
  assert.equal(json.code, 4);
  const { workloads = [] } = JSON.parse(json.stdout) as Value;
  assert.deepEqual(
    workloads.map(({ name, runtime, starts, breaks }) => [name, runtime, starts, breaks?.method]),
    [
      ['plain', 'go', true, undefined],
      ['privileged', 'go', false, 'CreateContainer'],
    ],
  );
});

test('pods are operands: files, directories and standard input, as config generate takes them', () => {
  const several = join(directory, 'several', 'below');
  mkdirSync(several, { recursive: true });
  writeFileSync(join(several, 'plain.yaml'), pod('plain'));
  writeFileSync(join(several, 'other.json'), JSON.stringify({ kind: 'ConfigMap', metadata: { name: 'm' } }));
  const one = preflight(open, plain);
  assert.equal(one.code, 0, one.stderr);
  assert.equal(one.stderr, '');
  const named = (place: string): string => one.stdout.replaceAll(plain, place);
  const below = preflight(open, join(directory, 'several'));
  assert.equal(below.stdout, named(join(several, 'plain.yaml')));
  const piped = runBinary(['config', 'preflight', open, '-'], pod('plain'));
  assert.equal(piped.stdout, named('-'));
});

test('a configuration that is sufficient for one runtime is no error', () => {
  const generated = runBinary(['config', 'generate', plain, '--runtime', 'rs']);
  const { code, stdout } = preflight(file('generated.toml', generated.stdout), plain);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /the Go runtime: stops at CreateContainer \(create\)\n.*rule "create-container/);
  assert.match(stdout, /runtime-rs: starts\n/);
});

test('nothing, no workload and what cannot be read are errors with a reason', () => {
  const empty = join(directory, 'empty');
  mkdirSync(empty);
  const object = file('object.yaml', 'kind: ConfigMap\nmetadata: { name: m }\n');
  const refused: readonly (readonly [argv: readonly string[], code: number, message: RegExp])[] = [
    [[], 2, /missing required argument 'file'/],
    [[open, empty], 1, /empty has no file of Kubernetes objects\n +their names end in \.yaml/],
    [[open, object], 1, /no workload found: no Pod, Deployment/],
    [[open, file('empty.yaml', '')], 1, /no workload found/],
    [[open, join(directory, 'none.yaml')], 3, /none\.yaml: no such file/],
    [[open, file('faulty.yaml', 'kind: Pod\nspec: [\n')], 1, /faulty\.yaml:3:1: /],
    [
      [open, file('wrong.yaml', 'kind: Pod\nspec:\n  containers: 7\n')],
      1,
      /wrong\.yaml:3:15: spec\.containers/,
    ],
    [[file('faulty.toml', '[api\n'), plain], 1, /faulty\.toml:2:1: error\[KA1003\]/],
  ];
  for (const [argv, expected, message] of refused) {
    const { code, stdout, stderr } = preflight(...argv);
    assert.equal(code, expected, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, message);
  }
});

test('the listener of the runtime is named if there are others', () => {
  const listener = (name: string, endpoints: string): string =>
    `[[listener]]\nname = "${name}"\naddress = "unix:///run/${name}"\nallowed_endpoints = ${endpoints}\n`;
  const both = file('both.toml', `${listener('host', '["@pod"]')}${listener('tenant', '["ReadStdout"]')}`);
  assert.match(preflight(both, plain).stdout, /runtime-rs, listener host: starts\n/);
  const tenant = preflight(both, plain, '--listener', 'tenant');
  assert.equal(tenant.code, 4);
  assert.match(tenant.stdout, /runtime-rs, listener tenant: stops at UpdateInterface \(sandbox\)\n/);
});
