import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runBinary } from '../../testing/program.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-ctl-'));
after(() => rmSync(directory, { recursive: true }));

function document(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const narrow = document('narrow.toml', '[api]\nallowed_endpoints = ["@pod"]\n');
const wide = document('wide.toml', '[api]\nallowed_endpoints = ["@pod", "ExecProcess"]\n');

test('config diff exits with 4 if something is opened, else with 0', () => {
  const opening = runBinary(['config', 'diff', narrow, wide]);
  assert.equal(opening.code, 4, opening.stderr);
  assert.match(opening.stdout, /^opens \(1\)\n  endpoint ExecProcess on server_addr: served now\n/);
  const closing = runBinary(['config', 'diff', wide, narrow]);
  assert.equal(closing.code, 0);
  assert.match(closing.stdout, /^closes \(1\)\n/);
  const same = runBinary(['config', 'diff', wide, wide]);
  assert.deepEqual([same.code, same.stdout], [0, 'no difference\n']);
});

test('config diff prints JSON', () => {
  const { stdout } = runBinary(['config', 'diff', narrow, wide, '--format', 'json']);
  const value = JSON.parse(stdout) as { opens: boolean; differences: { effect: string; name: string }[] };
  assert.equal(value.opens, true);
  assert.deepEqual(
    value.differences.map(({ effect, name }) => [effect, name]),
    [['opens', 'ExecProcess']],
  );
});

test('config diff of an invalid configuration exits with 1 and names the file', () => {
  const wrong = document('wrong.toml', '[api]\nallowed_endpoints = ["ExecProces"]\n');
  const { code, stderr } = runBinary(['config', 'diff', narrow, wrong]);
  assert.equal(code, 1);
  assert.match(stderr, /wrong\.toml:2:22/);
  assert.match(stderr, /wrong\.toml cannot be loaded: 1 error/);
});
