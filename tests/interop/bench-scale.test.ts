import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { build } from './artifacts.js';

const built = build('bench-scale');
const program = fileURLToPath(new URL('../harness/streaming-agent.js', import.meta.url));

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the client of the benchmark against an agent with a fault. */
async function measureStreams(fault: string): Promise<Outcome> {
  if (!built.ok) throw new Error(built.missing);
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-test-'));
  try {
    const address = join(directory, 'agent.sock');
    const options = ['-address', address, '-rootfs', directory, '-cgroup', 'kata-bench-test'];
    const size = ['-streams', '3', '-bytes', String(64 << 10), '-period', '100ms'];
    const agent = [process.execPath, program, address, join(directory, 'lines'), fault];
    // The client ends with its standard input, which stays open.
    const client = spawn(built.path('bench-scale'), [...options, ...size, 'streams', ...agent]);
    const [stdout, stderr, closed] = [text(client.stdout), text(client.stderr), once(client, 'close')];
    await closed;
    return { status: client.exitCode, stdout: await stdout, stderr: await stderr };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

suite('the streams of the scale benchmark', {
  skip: built.ok ? false : built.missing,
  concurrency: true,
}, () => {
  test('are read to their end', async () => {
    const { status, stdout, stderr } = await measureStreams('none');
    assert.equal(status, 0, stderr);
    const figures = JSON.parse(stdout) as Readonly<Record<string, readonly number[]>>;
    assert.ok((figures['throughput']?.[0] ?? 0) > 0);
  });

  for (const [fault, error] of [
    ['lost', 'stream 1: other bytes than were written'],
    ['reordered', 'stream 1: other bytes than were written'],
    ['foreign', 'stream 1: other bytes than were written'],
    ['more', 'stream 1: other bytes than were written'],
    ['early-end', 'stream 1 ended after 65504 bytes of 65520'],
  ] as const)
    test(`fail if bytes are ${fault}`, async () => {
      const { status, stderr } = await measureStreams(fault);
      assert.equal(status, 1, stderr);
      assert.ok(stderr.includes(`bench-scale: ${error}`), stderr);
    });
});
