import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { makeTree } from '../testing/tree.js';
import { Generations, youngestGenerations } from './generations.js';

/** The format of Linux 6.12. */
const table = `memcg     1 /
 node     0
          0      94000          0       3100 
          1      94000       9000        400 
memcg    40 /pod/one
 node     0
          2      12000          0        100 
          3      10000       3000          0 
          5       1000          7          0 
 node     1
          0      12000          0          0 
memcg    41 /pod/two
 node     0
          8      12000          0          0 
memcg    42 /pod/with a space
 node     0
`;

const trees: string[] = [];
afterEach(() => {
  for (const tree of trees.splice(0)) rmSync(tree, { recursive: true });
});

interface Fixture {
  readonly generations: Generations;
  readonly written: string[];
  readonly warnings: string[];
  readonly opened: () => number;
}

/** `fail`: the error of a command for the cgroup with this id; id 0: of opening the file. */
function generationsOf(
  enabled: string | undefined,
  fail?: { readonly id: number; readonly code: string },
): Fixture {
  const sys = makeTree(enabled === undefined ? { x: '' } : { 'kernel/mm/lru_gen/enabled': enabled });
  trees.push(sys);
  const written: string[] = [];
  const warnings: string[] = [];
  let opened = 0;
  const write = async (command: string): Promise<void> => {
    if (fail !== undefined && command.startsWith(`+ ${fail.id} `)) throw failure(fail.code);
    written.push(command);
  };
  const generations = new Generations({
    sys,
    cgroup: '/sys/fs/cgroup',
    open: () => {
      opened += 1;
      if (fail?.id === 0) throw failure(fail.code);
      return { read: async () => table, write };
    },
    log: (_level, text) => warnings.push(text),
  });
  return { generations, written, warnings, opened: () => opened };
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}

const containers = ['one', 'two', 'gone'].map((name) => join('/sys/fs/cgroup/pod', name));

test('the youngest generation of each cgroup and node is read', () => {
  assert.deepEqual(youngestGenerations(table), [
    { path: '/', id: 1, node: 0, youngest: 1 },
    { path: '/pod/one', id: 40, node: 0, youngest: 5 },
    { path: '/pod/one', id: 40, node: 1, youngest: 0 },
    { path: '/pod/two', id: 41, node: 0, youngest: 8 },
    { path: '/pod/with a space', id: 42, node: 0, youngest: 0 },
  ]);
  assert.deepEqual(youngestGenerations(''), []);
});

test('a generation begins in each container and in no other cgroup', async () => {
  const { generations, written, opened } = generationsOf('0x0007\n');
  await generations.begin(containers, true);
  assert.deepEqual(written.splice(0), ['+ 40 0 5 1 1', '+ 40 1 0 1 1', '+ 41 0 8 1 1']);
  await generations.begin(containers.slice(1), false);
  assert.deepEqual(written, ['+ 41 0 8 0 1']);
  assert.equal(opened(), 1);
});

test('a generation begins in the other containers when one has ended meanwhile', async () => {
  const gone = generationsOf('0x0007\n', { id: 40, code: 'EINVAL' });
  await gone.generations.begin(containers, false);
  assert.deepEqual(gone.written, ['+ 41 0 8 0 1']);
  const broken = generationsOf('0x0007\n', { id: 40, code: 'EIO' });
  await assert.rejects(broken.generations.begin(containers, false), { code: 'EIO' });
});

test('lru_gen is not opened when the kernel does not use generations', async () => {
  for (const enabled of [undefined, '0x0000\n', '0x0006\n']) {
    const { generations, opened } = generationsOf(enabled);
    await generations.begin(containers, true);
    assert.equal(opened(), 0);
  }
});

test('a failure to open lru_gen is logged once, and the rounds continue', async () => {
  const { generations, warnings, opened } = generationsOf('0x0007\n', { id: 0, code: 'ENODEV' });
  await generations.begin(containers, true);
  await generations.begin(containers, true);
  assert.equal(opened(), 1);
  assert.match(warnings.join(), /unused anonymous memory is found only under memory pressure.*ENODEV/);
});
