import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { type ImageFile, scripts, shell } from './machine.js';
import type { RunningGuest } from './running-guest.js';

const mebibyte = 2 ** 20;
const path = `${scripts.developerHome}/facts.mjs`;

/** What scripts/vm-facts.mjs prints. */
interface Facts {
  readonly intact: boolean;
  readonly taken: string;
  readonly refused: string;
  readonly vanished: boolean;
  readonly inTurn: { readonly count: number; readonly seconds: number };
  /** Bytes by which the server grew, and bytes that the sender got rid of before it had to wait. */
  readonly reader: { readonly growth: number; readonly sent: number };
  readonly writer: { readonly growth: number; readonly sent: number };
  readonly echo100: Pair;
  readonly echo32K: Pair;
  readonly bulk: Pair;
}

interface Pair {
  readonly vsock: number;
  readonly unix: number;
}

/** The program that looks, for the image. `folder`: for what is built. */
export async function vsockFactsProgram(folder: string): Promise<ImageFile> {
  const program = join(folder, 'facts.mjs');
  await scripts.bundleForGuest('vm-facts', program);
  return { path, data: readFileSync(program), mode: 0o644 };
}

/** `vsockFactsProgram` is in the guest. */
export function vsockFacts(guest: RunningGuest): void {
  it('vsock under Node behaves as a unix socket does', async (context) => {
    const facts = JSON.parse(await shell(guest.machine, `/usr/bin/node ${path}`)) as Facts;
    context.diagnostic(JSON.stringify(facts));
    assert.ok(facts.intact, '10 MiB each way, and the end of ours ends theirs');
    assert.equal(facts.taken, 'EADDRINUSE');
    assert.equal(facts.refused, 'ECONNRESET');
    assert.ok(facts.vanished, 'a killed peer is seen to be gone');
    assert.equal(facts.inTurn.count, 1000);
    for (const { growth, sent } of [facts.reader, facts.writer]) {
      assert.ok(growth < 32 * mebibyte, `the server grew by ${growth} bytes`);
      assert.ok(sent < 64 * mebibyte, `the sender was not held up before ${sent} bytes`);
    }
  });
}
