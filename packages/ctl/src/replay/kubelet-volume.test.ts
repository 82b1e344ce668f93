import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { removeVolume, writeVolume } from './kubelet-volume.js';

test('a volume is written as the kubelet does, and changes as a whole', (t) => {
  const parent = mkdtempSync(join(tmpdir(), 'kata-ctl-'));
  t.after(() => rmSync(parent, { recursive: true, force: true }));
  const folder = join(parent, 'config');
  const visible = (): readonly string[] => readdirSync(folder).filter((name) => !name.startsWith('..'));
  writeVolume({ folder, files: { a: '1', b: '2' } });
  assert.equal(readlinkSync(join(folder, 'a')), '..data/a');
  const first = readlinkSync(join(folder, '..data'));
  writeVolume({ folder, files: { a: 'new', c: '3' } });
  assert.notEqual(readlinkSync(join(folder, '..data')), first);
  assert.deepEqual(visible(), ['a', 'c']);
  assert.equal(readFileSync(join(folder, 'a'), 'utf8'), 'new');
  assert.equal(readdirSync(folder).length, 4, 'the old files are gone');
  removeVolume({ folder, files: {} });
  assert.deepEqual(readdirSync(parent), []);
});
