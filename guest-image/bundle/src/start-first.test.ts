import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadedBefore, startFirst } from './start-first.js';

const input = (statics: readonly string[], dynamics: readonly string[] = []) => ({
  bytes: 1,
  imports: [
    ...statics.map((path) => ({ path, kind: 'import-statement' as const })),
    ...dynamics.map((path) => ({ path, kind: 'dynamic-import' as const })),
  ],
});

test('before a module on demand is the one that leads to it, or the start if there are several', () => {
  const inputs = {
    'packages/main.js': input([], ['packages/start.js']),
    'packages/start.js': input(['packages/lib.js'], ['packages/guest.js', 'packages/tls.js']),
    'packages/lib.js': input([], ['node_modules/yaml/index.js']),
    'packages/guest.js': input(['packages/create.js'], ['packages/both.js']),
    'packages/create.js': input(['packages/lib.js'], ['packages/image.js']),
    'packages/image.js': input(['packages/lib.js']),
    'packages/tls.js': input([], ['packages/both.js']),
    'packages/both.js': input([]),
    'node_modules/yaml/index.js': input([]),
  };
  const before = loadedBefore({ inputs }, 'packages/start.js');
  assert.deepEqual(Object.fromEntries(before), {
    'packages/guest.js': 'packages/start.js',
    'packages/tls.js': 'packages/start.js',
    'packages/both.js': 'packages/start.js',
    'packages/image.js': 'packages/guest.js',
  });
  const rewrite = startFirst(before, '/r');
  assert.equal(rewrite('x', '/r/packages/image.js'), 'x\nexport * as loadedBefore from "./guest.js";\n');
  assert.equal(rewrite('x', '/r/packages/start.js'), 'x');
});
