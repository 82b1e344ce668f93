import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { startTpm } from '@kata-agent/tool-vm/machine/tpm';
import { whyNoTpm } from '../harness/swtpm.js';

it('a TPM keeps its keys in a directory with any name, for its user only', {
  skip: whyNoTpm() ?? false,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-vm-tpm-'));
  try {
    const state = join(directory, 'a, b');
    const { process: tpm } = await startTpm(directory, state);
    assert.ok(existsSync(join(directory, 'tpm.sock')));
    assert.equal(statSync(state).mode & 0o777, 0o700);
    tpm.kill();
    await once(tpm, 'close');
  } finally {
    rmSync(directory, { recursive: true });
  }
});
