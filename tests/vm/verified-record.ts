import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from '@kata-agent/tool-vm/machine/machine';
import { ctlProgram } from '../harness/repository.js';
import { shell } from './machine.js';

/** Copies the audit log out of a guest, verifies it with `kata-agent-ctl`, and returns its records. */
export async function verifiedRecord(
  machine: Machine,
  directory: string,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const log = join(directory, 'audit.log');
  // A record that is being written has no line feed yet.
  const text = (await shell(machine, "grep '}$' /run/kata-agent/audit.log")).trimEnd();
  writeFileSync(log, `${text}\n`);
  const verified = spawnSync(process.execPath, [ctlProgram, 'audit', 'verify', log], { encoding: 'utf8' });
  assert.equal(verified.status, 0, `${verified.stdout}${verified.stderr}`);
  return text.split('\n').map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
}
