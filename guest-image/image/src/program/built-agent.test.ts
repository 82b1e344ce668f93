import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { builtAgent } from './built-agent.js';

it('an agent is built once for the same inputs, and again for another Node.js; what nobody has used for a day is removed', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-agents-'));
  try {
    const options = { facts: { leftOut: [], requireConfig: false }, pullsImages: false };
    const agentFor = (sha256: string) => builtAgent(directory, options, { path: process.execPath, sha256 });
    const first = await agentFor('a');
    const { ino } = statSync(join(first.bundle, 'kata-agent.cjs'));
    const again = await agentFor('a');
    assert.deepEqual([...again.files.keys()].sort(), [...first.files.keys()].sort());
    assert.equal(statSync(join(again.bundle, 'kata-agent.cjs')).ino, ino);
    const dayBefore = new Date(Date.now() - 25 * 3_600_000);
    utimesSync(join(first.bundle, '..'), dayBefore, dayBefore);
    const other = await agentFor('b');
    assert.notEqual(other.bundle, first.bundle);
    assert.equal(readdirSync(directory).length, 1);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
