import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { boot, imageOf, listening, type Machine, scripts, shell, stop, whyNoMachine } from './machine.js';

const skip = whyNoMachine() ?? false;
const mebibyte = 2 ** 20;

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

describe('vsock under Node, in a guest', { skip }, () => {
  it('behaves as a unix socket does', async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'kata-vm-vsock-'));
    let machine: Machine | undefined;
    try {
      const program = join(folder, 'facts.mjs');
      await scripts.bundleForGuest('vm-facts', program);
      const path = `${scripts.developerHome}/facts.mjs`;
      const overlay = [{ path, data: readFileSync(program), mode: 0o644 }];
      machine = await boot(await imageOf('bare', {}), folder, { overlay, memory: 768 });
      await machine.line(listening);
      const facts = JSON.parse(await shell(machine, `/usr/bin/node ${path}`)) as Facts;
      await stop(machine);
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
    } finally {
      await machine?.kill();
      rmSync(folder, { recursive: true });
    }
  });
});
