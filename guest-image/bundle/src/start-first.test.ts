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
    'agent/server/main.js': input([], ['agent/server/start.js']),
    'agent/server/start.js': input(['agent/server/lib.js'], ['agent/server/guest.js', 'agent/server/tls.js']),
    'agent/server/lib.js': input([], ['node_modules/yaml/index.js']),
    'agent/server/guest.js': input(['agent/server/create.js'], ['agent/server/both.js']),
    'agent/server/create.js': input(['agent/server/lib.js'], ['agent/server/image.js']),
    'agent/server/image.js': input(['agent/server/lib.js']),
    'agent/server/tls.js': input([], ['agent/server/both.js']),
    'agent/server/both.js': input([]),
    'node_modules/yaml/index.js': input([]),
  };
  const before = loadedBefore({ inputs }, 'agent/server/start.js');
  assert.deepEqual(Object.fromEntries(before), {
    'agent/server/guest.js': 'agent/server/start.js',
    'agent/server/tls.js': 'agent/server/start.js',
    'agent/server/both.js': 'agent/server/start.js',
    'agent/server/image.js': 'agent/server/guest.js',
  });
  const rewrite = startFirst(before, '/r');
  assert.equal(rewrite('x', '/r/agent/server/image.js'), 'x\nexport * as loadedBefore from "./guest.js";\n');
  assert.equal(rewrite('x', '/r/agent/server/start.js'), 'x');
});
