import assert from 'node:assert/strict';
import { chmodSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { digestsByPart } from '../build.js';
import type { Entry } from './archive.js';
import { writeTree } from './rootfs.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-tree-'));
after(() => rmSync(directory, { recursive: true }));

it('the modes of files on a disk depend neither on the umask nor on the parent directory', () => {
  const tree: readonly Entry[] = [
    { path: '/run', directory: true },
    { path: '/usr/bin/agent', data: Buffer.from('x'), mode: 0o755 },
    { path: '/etc/deep/er/file', data: Buffer.from('y'), mode: 0o644 },
    { path: '/usr/bin/init', link: 'agent' },
    { path: '/dev/null', device: [1, 3], mode: 0o666 },
  ];
  const modes = (name: string, umask: number, parent: number): readonly string[] => {
    const target = join(directory, name);
    const before = process.umask(umask);
    try {
      chmodSync(directory, parent);
      writeTree(tree, join(target, 'tree'));
    } finally {
      process.umask(before);
    }
    const root = join(target, 'tree');
    return ['.', ...(readdirSync(root, { recursive: true }) as string[])]
      .map((path) => `${path} ${(lstatSync(join(root, path)).mode & 0o7777).toString(8)}`)
      .sort();
  };
  const expected = [
    '. 755',
    'etc 755',
    'etc/deep 755',
    'etc/deep/er 755',
    'etc/deep/er/file 644',
    'run 755',
    'usr 755',
    'usr/bin 755',
    'usr/bin/agent 755',
    'usr/bin/init 777',
  ];
  assert.deepEqual(modes('umask 022', 0o022, 0o700), expected);
  assert.deepEqual(modes('umask 077', 0o077, 0o700), expected);
  assert.deepEqual(modes('umask 0', 0, 0o700), expected);
  assert.deepEqual(modes('setgid', 0o002, 0o2770), expected, 'a setgid parent directory');
});

it('the digest of a part covers files, modes and names, in any order', () => {
  const agent = { path: '/usr/bin/agent', data: Buffer.from('x'), mode: 0o755, part: 'agent' };
  const node = { path: '/usr/bin/node', data: Buffer.from('y'), mode: 0o755, part: 'node' };
  const link = { path: '/init', link: 'usr/bin/agent', part: 'agent' };
  const before = digestsByPart([agent, node, link]);
  assert.deepEqual(Object.keys(before), ['agent', 'node']);
  assert.deepEqual(digestsByPart([link, node, agent]), before);
  for (const changed of [
    { ...agent, data: Buffer.from('z') },
    { ...agent, mode: 0o700 },
    { ...agent, path: '/x' },
  ]) {
    const after = digestsByPart([changed, node, link]);
    assert.notEqual(after['agent'], before['agent']);
    assert.equal(after['node'], before['node']);
  }
});
