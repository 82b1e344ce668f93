import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { guestNodes } from './forward-backend.js';

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

test('nodes have the numbers of the kernel, and other files have none', () => {
  const nodes = guestNodes();
  assert.equal(nodes.numberOf('/dev/null'), '1:3');
  assert.equal(nodes.numberOf('/dev/none'), undefined);
  assert.equal(nodes.numberOf('/dev'), undefined);
});

test('a number has the name that the kernel has for it', () => {
  const sys = mkdtempSync(join(tmpdir(), 'guest-nodes-'));
  try {
    mkdirSync(join(sys, 'dev/char/10:124'), { recursive: true });
    writeFileSync(join(sys, 'dev/char/10:124/uevent'), 'MAJOR=10\nMINOR=124\nDEVNAME=tdx_guest\n');
    const nodes = guestNodes('/dev', sys);
    assert.equal(nodes.nameOf('10:124'), 'tdx_guest');
    assert.equal(nodes.nameOf('10:125'), undefined);
  } finally {
    rmSync(sys, { recursive: true });
  }
});
