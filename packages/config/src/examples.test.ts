import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfiguration } from './index.js';

const folder = fileURLToPath(new URL('../../../examples/', import.meta.url));
const examples = readdirSync(folder).filter((name) => name.endsWith('.toml'));

test('there are examples', async () => {
  for (const name of ['start', 'minimal', 'confidential', 'observe', 'open', 'seed']) {
    assert.ok(examples.includes(`${name}.toml`), name);
  }
});

for (const name of examples) {
  test(`examples/${name} loads without a word`, async () => {
    const loaded = await loadConfiguration({
      flags: {},
      environment: {},
      configFlag: name,
      rules: async () => ({ check: () => [] }),
      delivery: [],
      hostData: () => ({ ok: false, message: 'none', help: 'none' }),
      files: { read: (path) => ({ ok: true, bytes: readFileSync(`${folder}${path}`) }) },
    });
    assert.ok(loaded.ok);
    assert.deepEqual(loaded.configuration.warnings, []);
  });
}
