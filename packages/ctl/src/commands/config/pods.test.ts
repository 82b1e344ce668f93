import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Ended, runBinary } from '../../testing/program.js';

const folder = mkdtempSync(join(tmpdir(), 'kata-ctl-'));
after(() => rmSync(folder, { recursive: true }));

const workloads = fileURLToPath(new URL('../../../../../examples/workloads/', import.meta.url));
const pod = ['--pod', `${workloads}postgres.yaml`];
const image = ['--image-config', `docker.io/library/postgres:17=${workloads}images/postgres.json`];

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function check(configuration: string, ...more: readonly string[]): Ended {
  return runBinary(['config', 'check', configuration, ...pod, ...image, ...more]);
}

const generated = runBinary(['config', 'generate', ...pod, ...image]);
const configuration = file('generated.toml', generated.stdout);

test('config generate writes what config check finds sufficient', () => {
  assert.equal(generated.code, 0, generated.stderr);
  assert.match(
    generated.stderr,
    /^kata-agent-ctl: note: docker\.io\/library\/postgres:17 has a tag and no digest: .*\n$/,
  );
  const { code, stdout, stderr } = check(configuration);
  assert.equal(code, 0, stdout);
  assert.equal(stderr, '');
  assert.match(stdout, /^StatefulSet postgres \(.*postgres\.yaml:2:1\): sufficient$/m);
});

test('the example of a generated configuration is what is generated', () => {
  assert.equal(readFileSync(`${workloads}postgres.toml`, 'utf8'), generated.stdout);
});

test('a line less is missed, with its place and what mends it, and ends with 4', () => {
  const lines = generated.stdout.split('\n');
  const endpoint = file('endpoint.toml', lines.filter((line) => !line.includes('"GetOOMEvent"')).join('\n'));
  const { code, stdout } = check(endpoint);
  assert.equal(code, 4);
  assert.match(stdout, /not sufficient\n  with runtime-rs and guests with a shared filesystem \(--runtime/);
  assert.match(stdout, /endpoint\.toml:\d+: add "GetOOMEvent" to allowed_endpoints/);
  const variable = file(
    'variable.toml',
    lines.filter((line) => !/^ +"POSTGRES_PASSWORD", /.test(line)).join('\n'),
  );
  const json = check(variable, '--format', 'json');
  assert.equal(json.code, 4);
  const [report] = (
    JSON.parse(json.stdout) as { workloads: { sufficient: boolean; changes: { text: string }[] }[] }
  ).workloads;
  assert.equal(report?.sufficient, false);
  assert.match(
    report?.changes[0]?.text ?? '',
    /"create-container-environment" pass the variable "POSTGRES_PASSWORD"/,
  );
});

test('without the image the text and standard error say what is not constrained', () => {
  const { code, stdout, stderr } = runBinary(['config', 'generate', ...pod]);
  assert.equal(code, 0);
  assert.match(stdout, /^# NOT CONSTRAINED: CreateContainer, commands\./m);
  assert.match(stderr, /note: image docker\.io\/library\/postgres:17 is not known/);
  assert.match(stderr, /note: not constrained: commands of CreateContainer/);
  const json = runBinary(['config', 'generate', ...pod, '--format', 'json']);
  assert.equal(json.stderr, '');
  const value = JSON.parse(json.stdout) as { configuration: string; notes: string[] };
  assert.equal(value.configuration, stdout);
  assert.ok(value.notes.length > 0);
});

test('a pod of many images does not fill the screen with notes', () => {
  const containers = Array.from(
    { length: 30 },
    (_, index) => `    - { name: c${index}, image: "i${index}:1" }`,
  );
  const many = file('many.yaml', ['kind: Pod', 'spec:', '  containers:', ...containers].join('\n'));
  const { code, stderr } = runBinary(['config', 'generate', '--pod', many]);
  assert.equal(code, 0);
  assert.match(stderr, /note: 30 images are not known: i0:1, i1:1, i2:1, i3:1, and 26 more: .*for each$/m);
  assert.ok(
    stderr.split('\n').every((line) => line.length < 400),
    stderr,
  );
});

test('a value that no rule can hold is an error, not a rule less', () => {
  const value = 'x'.repeat(20_000);
  const long = file(
    'long.yaml',
    `kind: Pod\nspec:\n  containers: [{ name: c, image: i, env: [{ name: LONG, value: ${value} }] }]\n`,
  );
  const known = file('image.json', '{"config":{"Cmd":["/run"]}}');
  const argv = ['config', 'generate', '--pod', long, '--image-config', `i=${known}`];
  const { code, stdout, stderr } = runBinary(argv);
  assert.equal(code, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /CreateContainer, environment: a list of .* is too long for one rule/);
});

test('wrong files and wrong use are told apart', () => {
  const wrong = file('wrong.yaml', 'kind: Pod\nspec:\n  containers: 7\n');
  const ends = (...argv: readonly string[]): readonly [number | null, string] => {
    const { code, stderr } = runBinary(['config', ...argv]);
    return [code, stderr];
  };
  const [code, stderr] = ends('generate', '--pod', wrong);
  assert.equal(code, 1);
  assert.match(stderr, /wrong\.yaml:3:15: spec\.containers has to be a list/);
  assert.equal(ends('generate')[0], 2);
  assert.equal(ends('generate', '--pod', join(folder, 'none.yaml'))[0], 3);
  assert.equal(ends('generate', ...pod, '--image-config', 'nothing')[0], 2);
  assert.match(ends('generate', ...pod, '--image-config', `i=${wrong}`)[1], /no OCI image configuration/);
  assert.equal(ends('generate', ...pod, '--runtime', 'rust')[0], 2);
  assert.equal(ends('check', configuration, '--pod', wrong)[0], 1);
});

test('config preflight says how far pods get, and ends with 4 when they do not', () => {
  const example = (name: string): string =>
    fileURLToPath(new URL(`../../../../../examples/${name}.toml`, import.meta.url));
  const confidential = runBinary(['config', 'preflight', example('confidential')]);
  assert.equal(confidential.code, 0, confidential.stderr);
  assert.match(confidential.stdout, /runtime-rs: pods run\n/);
  assert.match(confidential.stdout, /kubectl logs +without ReadStdout, ReadStderr\n/);
  const observe = runBinary(['config', 'preflight', example('observe')]);
  assert.equal(observe.code, 4);
  assert.match(observe.stdout, /pods stop at UpdateInterface \(sandbox\)/);
  const value = JSON.parse(runBinary(['config', 'preflight', configuration, '--format', 'json']).stdout) as {
    underRules: Record<string, string[]>;
  };
  assert.ok(value.underRules['CreateContainer']?.includes('create-container-mounts'));
});

test('what is no text, or never ends, is said to be so', () => {
  const bytes = join(folder, 'bytes.yaml');
  writeFileSync(bytes, Buffer.from([0x6b, 0xff, 0xfe, 0x0a]));
  for (const [path, expected, said] of [
    [bytes, 1, /is no text: it is not UTF-8/],
    ['/dev/zero', 1, /has more than 16 MiB/],
    [join(folder, 'none.yaml'), 3, /there is no such file/],
  ] as const) {
    const { code, stderr } = runBinary(['config', 'generate', '--pod', path]);
    assert.equal(code, expected, stderr);
    assert.match(stderr, said);
  }
});
