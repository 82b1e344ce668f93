import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { initdataAnnotation, writeInitdataFiles, writeInitdataImage } from '@kata-agent/config';
import { runBinary } from '../../testing/program.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-agent-ctl-show-'));
after(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

const document = '# mine\n[api]\nallowed_endpoints = ["@pod"]\n';
const envelope = writeInitdataFiles(
  new Map([
    ['aa.toml', 'a = 1\n'],
    ['kata-agent.toml', document],
  ]),
  'sha-384',
);
const annotation = gzipSync(envelope).toString('base64');
const pod = (name: string): string =>
  `kind: Pod\nmetadata: {name: ${name}, annotations: {${initdataAnnotation}: "${annotation}"}}\nspec: {containers: [{name: a, image: a}]}\n`;

for (const [what, path] of [
  ['an envelope', file('initdata.toml', envelope)],
  ['a disk image', file('initdata.img', writeInitdataImage(envelope))],
  ['gzip', file('initdata.gz', gzipSync(envelope))],
  ['an annotation', file('annotation', `${annotation}\n`)],
  ['a pod', file('pod.yaml', pod('web'))],
] as const)
  test(`shows ${what}`, () => {
    const { code, stdout, stderr } = runBinary(['config', 'show', path]);
    assert.equal(code, 0, stderr);
    assert.match(
      stdout,
      /: initdata, sha-384\n {2}HOSTDATA {4}[0-9a-f]{64}\n {2}MRCONFIGID {2}[0-9a-f]{96}\n/,
    );
    assert.ok(stdout.includes('\n  aa.toml\n    a = 1\n\n  kata-agent.toml\n    # mine\n'), stdout);
    assert.equal(runBinary(['config', 'show', path, '--file', 'kata-agent.toml']).stdout, document);
    const [value] = JSON.parse(runBinary(['config', 'show', path, '--format', 'json']).stdout) as [
      { files: Record<string, string> },
    ];
    assert.equal(value.files['aa.toml'], 'a = 1\n');
  });

test('of several pods one is named, and what is missing is said', () => {
  const both = file('both.yaml', `${pod('one')}---\n${pod('two')}`);
  assert.equal(runBinary(['config', 'show', both, '--file', 'aa.toml']).code, 2);
  assert.equal(runBinary(['config', 'show', both, '--file', 'aa.toml', '--name', 'two']).stdout, 'a = 1\n');
  assert.equal(runBinary(['config', 'show', both, '--name', 'three']).code, 4);
  const lacking = runBinary(['config', 'show', both, '--name', 'one', '--file', 'cdh.toml']);
  assert.equal(lacking.code, 4);
  assert.match(lacking.stderr, /has no cdh\.toml[^]*it has aa\.toml, kata-agent\.toml/);
  const bare = file('bare.yaml', 'kind: Pod\nspec: {containers: [{name: a, image: a}]}\n');
  assert.equal(runBinary(['config', 'show', bare]).code, 4);
});
