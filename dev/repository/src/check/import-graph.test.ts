import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { directoryRingText } from './directory-ring-text.js';
import { directoryGraph, directoryOf, ringsOf } from './import-graph.js';

const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
const graphs = fc
  .dictionary(name, fc.uniqueArray(name))
  .map((edges) => new Map(['a', 'b', 'c', 'd', 'e', 'f'].map((node) => [node, edges[node] ?? []])));

/** Returns whether a path of at least one edge leads from one node to another. */
function leads(graph: ReadonlyMap<string, readonly string[]>, from: string, to: string): boolean {
  const found = new Set(graph.get(from));
  for (const each of found) for (const next of graph.get(each) ?? []) found.add(next);
  return found.has(to);
}

test('two nodes are in a ring if, and only if, each leads to the other', () => {
  fc.assert(
    fc.property(graphs, name, name, (graph, one, other) => {
      fc.pre(one !== other);
      const together = ringsOf(graph).some((ring) => ring.includes(one) && ring.includes(other));
      assert.equal(together, leads(graph, one, other) && leads(graph, other, one));
    }),
  );
});

test('a directory imports what its files import, without tests and files directly in src', () => {
  assert.equal(directoryOf('agent/guest/src/storage/drivers/disk.ts'), 'agent/guest/src/storage');
  assert.equal(directoryOf('agent/guest/src/index.ts'), undefined);
  const graph = new Map([
    ['a/b/src/one/x.ts', ['a/b/src/two/y.ts', 'a/b/src/index.ts']],
    ['a/b/src/two/y.ts', ['a/b/src/two/more/z.ts']],
    ['a/b/src/two/y.test.ts', ['a/b/src/one/x.ts']],
    ['a/b/src/two/more/z.ts', []],
    ['a/b/src/index.ts', ['a/b/src/one/x.ts']],
  ]);
  assert.deepEqual(
    [...directoryGraph(graph)].map(([directory, others]) => [directory, [...others]]),
    [
      ['a/b/src/one', ['a/b/src/two']],
      ['a/b/src/two', []],
    ],
  );
});

test('the message for directories that import each other names them, and the files that make the ring', () => {
  const graph = new Map([
    ['a/b/src/one/x.ts', ['a/b/src/two/y.ts', 'a/b/src/three/w.ts']],
    ['a/b/src/one/z.ts', []],
    ['a/b/src/two/y.ts', ['a/b/src/one/z.ts']],
    ['a/b/src/two/y.test.ts', ['a/b/src/one/x.ts']],
    ['a/b/src/three/w.ts', []],
  ]);
  const [ring, ...others] = ringsOf(directoryGraph(graph));
  assert.deepEqual(others, []);
  const text = directoryRingText(ring ?? [], graph);
  assert.match(text, /^these directories import each other: a\/b\/src\/one, a\/b\/src\/two; help: /);
  assert.deepEqual(text.split('\n').slice(1), [
    '  a/b/src/one → a/b/src/two: 1',
    '    a/b/src/one/x.ts imports a/b/src/two/y.ts',
    '  a/b/src/two → a/b/src/one: 1',
    '    a/b/src/two/y.ts imports a/b/src/one/z.ts',
  ]);
});
