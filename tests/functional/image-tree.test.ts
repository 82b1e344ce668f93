import assert from 'node:assert/strict';
import { chmodSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { repository } from '../harness/repository.js';

/** What the script exports; it is JavaScript. */
const { writeTree } = (await import(`${repository}scripts/image-rootfs.mjs`)) as {
  readonly writeTree: (tree: readonly object[], folder: string) => void;
};

const { digestsByPart } = (await import(`${repository}scripts/image-build.mjs`)) as {
  readonly digestsByPart: (tree: readonly object[]) => Readonly<Record<string, string>>;
};

const folder = mkdtempSync(join(tmpdir(), 'kata-tree-'));
after(() => rmSync(folder, { recursive: true }));

it('the files of a disk have their own modes, whoever builds it', () => {
  const tree = [
    { path: '/run', directory: true },
    { path: '/usr/bin/agent', data: Buffer.from('x'), mode: 0o755 },
    { path: '/etc/deep/er/file', data: Buffer.from('y'), mode: 0o644 },
    { path: '/usr/bin/init', link: 'agent' },
    { path: '/dev/null', device: [1, 3], mode: 0o666 },
  ];
  const modes = (name: string, umask: number, parent: number): readonly string[] => {
    const target = join(folder, name);
    const before = process.umask(umask);
    try {
      chmodSync(folder, parent);
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
  assert.deepEqual(modes('usual', 0o022, 0o700), expected);
  assert.deepEqual(modes('careful', 0o077, 0o700), expected);
  assert.deepEqual(modes('open', 0, 0o700), expected);
  assert.deepEqual(modes('of a group', 0o002, 0o2770), expected, 'folders that inherit their group');
});

it('the digest of a part is that of its files, their modes and names, in whatever order they come', () => {
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
