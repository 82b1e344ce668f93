import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { missingPaths, namedPaths } from './paths.js';

describe('paths of the repository in code', () => {
  it('are found in strings, comments and patterns of a bundler', () => {
    const text = [
      "const entry = 'agent/server/dist/main.js';",
      '// see lib/config/src/load.ts.',
      'filter: /[\\\\/]agent[\\\\/]server[\\\\/]dist[\\\\/]build-facts\\.js$/',
      "import '../dist/main.js'; new URL('../../../tests/dist/vm/machine.js')",
    ].join('\n');
    assert.deepEqual(
      namedPaths('a.ts', text).map(({ line, path }) => `${line} ${path}`),
      ['1 agent/server/dist/main.js', '2 lib/config/src/load.ts', '3 agent/server/dist/build-facts.js'],
    );
  });

  it('must be a file, or compiled from one', () => {
    const text =
      "'agent/server/dist/main.js', 'tests/dist/vm/machine.js', 'scripts/bundle.mjs', 'lib/base/src/gone.ts'";
    const files = new Set(['agent/server/src/main.ts', 'tests/vm/machine.ts', 'scripts/bundle.mjs']);
    assert.deepEqual(missingPaths(new Map([['a.ts', text]]), files), [
      { file: 'a.ts', line: 1, path: 'lib/base/src/gone.ts' },
    ]);
  });
});
