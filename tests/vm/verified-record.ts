import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clientProgram } from '../harness/repository.js';
import { type Machine, shell } from './machine.js';

/** Brings the audit log out of a guest, has `kata-agent-ctl` verify it here, and answers its records. */
export async function verifiedRecord(
  machine: Machine,
  folder: string,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const log = join(folder, 'audit.log');
  // A record that is being written meanwhile has no end of line yet.
  const text = (await shell(machine, "grep '}$' /run/kata-agent/audit.log")).trimEnd();
  writeFileSync(log, `${text}\n`);
  const verified = spawnSync(process.execPath, [clientProgram, 'audit', 'verify', log], { encoding: 'utf8' });
  assert.equal(verified.status, 0, `${verified.stdout}${verified.stderr}`);
  return text.split('\n').map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
}
