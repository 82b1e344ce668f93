import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfiguration, writeInitdata } from './index.js';
import { initdataDevice, inputsOf } from './loading.test.fixture.js';

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
      rules: async () => ({ check: () => ({ faults: [], needsGuest: [] }), patternFault: () => undefined }),
      delivery: [],
      hostData: () => ({ ok: false, message: 'none', help: 'none' }),
      files: { read: (path) => ({ ok: true, bytes: readFileSync(`${directory}${path}`) }) },
    });
    assert.ok(loaded.ok);
    assert.deepEqual(loaded.configuration.warnings, []);
  });
}

test('examples/one-image: HOSTDATA binds the document of a tenant, which completes the base document', async () => {
  const [base, tenant] = ['base', 'tenant'].map((name) =>
    readFileSync(`${directory}one-image/${name}.toml`, 'utf8'),
  );
  assert.ok(base !== undefined && tenant !== undefined);
  const envelope = writeInitdata(Buffer.from(tenant), 'sha-256');
  const bytes = createHash('sha256').update(envelope).digest();
  const loaded = await loadConfiguration(
    inputsOf(base, {
      delivery: [initdataDevice({ 'kata-agent.toml': tenant }, { envelope })],
      hostData: () => ({ ok: true, kind: 'HOSTDATA', bytes }),
    }),
  );
  assert.ok(loaded.ok, JSON.stringify(loaded));
  assert.deepEqual(loaded.configuration.warnings, []);
  const [, operators, realm] = loaded.configuration.listeners;
  assert.deepEqual(operators?.peers, [['uri:spiffe://example/ops/*']]);
  assert.match(operators.tls?.clientCa ?? '', /BEGIN CERTIFICATE/);
  assert.equal(realm?.address, 'https://realm.example:8443/guests');
});
