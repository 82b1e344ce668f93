import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { repository } from '../harness/repository.js';
import { whyNoTpm } from '../harness/swtpm.js';

/** What the script exports; it is JavaScript. */
const { startTpm } = (await import(`${repository}scripts/vm-tpm.mjs`)) as {
  readonly startTpm: (folder: string, state: string) => Promise<{ readonly process: ChildProcess }>;
};

it('a TPM keeps its keys in a folder of any name, for its user alone', {
  skip: whyNoTpm() ?? false,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kata-vm-tpm-'));
  try {
    const state = join(folder, 'a, b');
    const { process: tpm } = await startTpm(folder, state);
    assert.ok(existsSync(join(folder, 'tpm.sock')));
    assert.equal(statSync(state).mode & 0o777, 0o700);
    tpm.kill();
    await once(tpm, 'close');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
