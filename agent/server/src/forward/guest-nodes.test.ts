import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { guestNodes } from './guest-nodes.js';

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
