import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { removeVolume, writeVolume } from './kubelet-volume.js';

test('a volume is replaced atomically as by the kubelet', (t) => {
  const parent = mkdtempSync(join(tmpdir(), 'kata-ctl-'));
  t.after(() => rmSync(parent, { recursive: true, force: true }));
  const directory = join(parent, 'config');
  const visible = (): readonly string[] => readdirSync(directory).filter((name) => !name.startsWith('..'));
  writeVolume({ directory, files: { a: '1', b: '2' } });
  assert.equal(readlinkSync(join(directory, 'a')), '..data/a');
  const first = readlinkSync(join(directory, '..data'));
  writeVolume({ directory, files: { a: 'new', c: '3' } });
  assert.notEqual(readlinkSync(join(directory, '..data')), first);
  assert.deepEqual(visible(), ['a', 'c']);
  assert.equal(readFileSync(join(directory, 'a'), 'utf8'), 'new');
  assert.equal(readdirSync(directory).length, 4, 'the old files are removed');
  removeVolume({ directory, files: {} });
  assert.deepEqual(readdirSync(parent), []);
});
