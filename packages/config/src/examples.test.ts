import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfiguration } from './index.js';

const directory = fileURLToPath(new URL('../../../examples/', import.meta.url));
const examples = readdirSync(directory).filter((name) => name.endsWith('.toml'));

test('there are examples', async () => {
  for (const name of ['start', 'minimal', 'confidential', 'observe', 'open', 'seed']) {
    assert.ok(examples.includes(`${name}.toml`), name);
  }
});

for (const name of examples) {
  test(`examples/${name} loads without diagnostics`, async () => {
    const loaded = await loadConfiguration({
      flags: {},
      environment: {},
      configFlag: name,
      rules: async () => ({ check: () => ({ faults: [] }) }),
      delivery: [],
      hostData: () => ({ ok: false, message: 'none', help: 'none' }),
      files: { read: (path) => ({ ok: true, bytes: readFileSync(`${directory}${path}`) }) },
    });
    assert.ok(loaded.ok);
    assert.deepEqual(loaded.configuration.warnings, []);
  });
}
