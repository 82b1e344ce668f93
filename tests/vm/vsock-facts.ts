import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import type { FileEntry } from '@kata-agent/tool-guest-image/tree/archive';
import type { VsockFacts } from '@kata-agent/tool-vm/inside/facts';
import { bundleForGuest, developerHome } from '@kata-agent/tool-vm/image';
import { shell } from './machine.js';
import type { RunningGuest } from './running-guest.js';

const mebibyte = 2 ** 20;
const path = `${developerHome}/facts.mjs`;

/** The test program, for the image. `directory`: for what is built. */
export async function vsockFactsProgram(directory: string): Promise<FileEntry> {
  const program = join(directory, 'facts.mjs');
  await bundleForGuest('facts', program);
  return { path, data: readFileSync(program), mode: 0o644 };
}

/** Requires `vsockFactsProgram` in the guest. */
export function vsockFacts(guest: RunningGuest): void {
  it('vsock in Node behaves like a unix socket', async (context) => {
    const facts = JSON.parse(await shell(guest.machine, `/usr/bin/node ${path}`)) as VsockFacts;
    context.diagnostic(JSON.stringify(facts));
    assert.ok(facts.intact, '10 MiB in each direction, and our end of stream ends theirs');
    assert.equal(facts.taken, 'EADDRINUSE');
    assert.equal(facts.refused, 'ECONNRESET');
    assert.ok(facts.vanished, 'a killed peer is detected');
    assert.equal(facts.inTurn.count, 1000);
    for (const { growth, sent } of [facts.reader, facts.writer]) {
      assert.ok(growth < 32 * mebibyte, `the server grew by ${growth} bytes`);
      assert.ok(sent < 64 * mebibyte, `the sender was not held up before ${sent} bytes`);
    }
  });
}
