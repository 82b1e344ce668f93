import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** Returns the packages that a module and the modules that it imports statically import. */
function packagesOf(start: readonly string[]): ReadonlySet<string> {
  const packages = new Set<string>();
  const files = start.map((file) => fileURLToPath(new URL(file, import.meta.url)));
  const seen = new Set(files);
  for (const file of seen) {
    const text = readFileSync(file, 'utf8');
    for (const [, name = ''] of text.matchAll(/^(?:import|export)\b[^'"();]*?['"]([^'"]+)['"];/gm)) {
      if (name.startsWith('.')) seen.add(fileURLToPath(new URL(name, `file://${file}`)));
      else packages.add(name);
    }
  }
  assert.ok(seen.size > 50, `${seen.size} modules`);
  return packages;
}

test('in forward mode the guest package is not loaded', () => {
  const forward = ['./forward-backend.js', '../main.js', '../program.js', '../policy/tighten.js'];
  assert.ok(!packagesOf(forward).has('@kata-agent/guest'));
  assert.ok(packagesOf([...forward, '../backend/guest-backend.js']).has('@kata-agent/guest'));
});
