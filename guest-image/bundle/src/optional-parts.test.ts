import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '@kata-agent/setup/bootstrap';
import { checkOptionalParts, optionalParts } from './optional-parts.js';

const output = (
  entryPoint: string | undefined,
  input: string,
  imports: readonly (readonly [string, string])[],
) => ({
  bytes: 1,
  exports: [],
  inputs: { [input]: { bytesInOutput: 1 } },
  imports: imports.map(([path, kind]) => ({ path, kind: kind as 'import-statement' })),
  ...(entryPoint === undefined ? {} : { entryPoint }),
});
const start = 'agent/server/dist/program.js';

test('each optional part exists', () => {
  for (const module of optionalParts.flatMap(({ modules }) => modules))
    assert.ok(existsSync(join(root, module)), module);
});

test('an optional part in a file that the start imports is refused, and one that is imported on demand is not', () => {
  const part = output(undefined, 'lib/evidence/dist/bundle.js', []);
  const bundleWith = (kind: string) => ({
    outputs: {
      'program.mjs': output(start, start, [['between.mjs', 'import-statement']]),
      'between.mjs': output(undefined, 'agent/server/dist/start.js', [['part.mjs', kind]]),
      'part.mjs': part,
    },
  });
  assert.throws(() => checkOptionalParts(bundleWith('import-statement')), {
    message: /loads lib\/evidence\/dist\/bundle\.js at its start, which only \[evidence\] needs\nhelp: /,
  });
  checkOptionalParts(bundleWith('dynamic-import'));
});
