import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { packageEntries, programs, reachedLines, reachedTests, readSources } from './changed-tests.js';

const sources = new Map([
  ['lib/config/src/a.ts', ''],
  ['lib/config/src/b.ts', "import { a } from './a.js';"],
  ['lib/config/src/b.test.ts', "import { b } from './b.js';"],
  ['lib/config/src/b.root.test.ts', "import { b } from './b.js';"],
  ['lib/config/src/c.test.ts', "readFileSync(join(root, 'examples', 'x.toml'))"],
  ['lib/config/src/index.ts', "export { b } from './b.js';"],
  ['agent/server/src/main.ts', "const { b } = await import('@kata-agent/config');"],
  ['agent/server/src/main.test.ts', "import type { M } from './main.js';"],
  ['agent/server/bin/kata-agent.mjs', "import '../dist/main.js';"],
  ['tests/harness/repository.ts', "export const agentProgram = 'agent/server/bin/kata-agent.mjs';"],
  ['tests/harness/process.ts', "import { agentProgram } from './repository.js';"],
  ['tests/functional/x.test.ts', "import { start } from '../harness/process.js';"],
  ['tests/functional/y.test.ts', "import { repository } from '../harness/repository.js';"],
  ['tests/vm/z.test.ts', "spawn(join(root, 'scripts', 'vm.mjs'))"],
  ['scripts/vm.mjs', "await runTool('dev/vm', 'main')"],
  ['dev/vm/src/main.ts', "import { b } from '@kata-agent/config';"],
]);
const entries = new Map([['@kata-agent/config', 'lib/config/src/index.ts']]);

describe('the test files that a change reaches', () => {
  it('by imports of files, types and packages, and by programs that they start', () => {
    const expected = [
      'agent/server/src/main.test.ts',
      'lib/config/src/b.root.test.ts',
      'lib/config/src/b.test.ts',
      'tests/functional/x.test.ts',
      'tests/vm/z.test.ts',
    ];
    const { chosen, leftOut } = reachedTests(sources, entries, ['lib/config/src/a.ts'], true);
    assert.deepEqual(chosen, expected);
    assert.deepEqual(leftOut, []);
  });

  it('without --all are unit tests of the same package, and test files that changed', () => {
    const changed = ['lib/config/src/a.ts', 'tests/vm/z.test.ts'];
    const reached = reachedTests(sources, entries, changed, false);
    assert.deepEqual(reached, {
      chosen: ['lib/config/src/b.test.ts', 'tests/functional/x.test.ts', 'tests/vm/z.test.ts'],
      leftOut: ['agent/server/src/main.test.ts', 'lib/config/src/b.root.test.ts'],
    });
    assert.deepEqual(reachedLines({ base: 'abc', files: changed }, reached), [
      'changed since abc: 2 files; test files that they reach: 5',
      'chosen: 3',
      '  lib/config/src/b.test.ts',
      '  tests/functional/x.test.ts',
      '  tests/vm/z.test.ts',
      'left out: 2, of other packages, or that need root or a virtual machine; help: --changed --all runs them',
      '  agent/server 1, lib/config (root) 1',
    ]);
  });

  it('of a file that is not code mention its path, or are all of its package', () => {
    const chosen = (path: string, all = true): readonly string[] =>
      reachedTests(sources, entries, [path], all).chosen;
    assert.deepEqual(chosen('examples/x.toml'), ['lib/config/src/c.test.ts']);
    assert.deepEqual(chosen('lib/config/README.md', false), [
      'lib/config/src/b.test.ts',
      'lib/config/src/c.test.ts',
    ]);
    assert.equal(chosen('package-lock.json').length, 7);
    assert.deepEqual(chosen('package-lock.json', false), []);
  });
});

it('the programs that tests start are those of tests/harness/repository.ts, and reach what they import', () => {
  const all = readSources();
  const constants = [
    ...(all.get('tests/harness/repository.ts') ?? '').matchAll(
      /(\w+Program): string = programAt\('(.+)'\);/g,
    ),
  ];
  assert.deepEqual(Object.fromEntries(constants.map(([, name, path]) => [name, path])), programs);
  const { chosen } = reachedTests(all, packageEntries(), ['lib/config/src/index.ts'], true);
  for (const directory of [
    'agent/server/src/',
    'client/ctl/src/',
    'tests/functional/',
    'tests/root/',
    'tests/vm/',
  ])
    assert.ok(
      chosen.some((file) => file.startsWith(directory)),
      directory,
    );
});
