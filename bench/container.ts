import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startAgent } from './agent-program.js';
import type { GoPrograms } from './go-programs.js';
import { median } from './median.js';
import { runForJson } from './program.js';
import type { Row } from './row.js';

interface Times {
  /** Create and start. */
  readonly agentMs: number[];
  readonly runcMs: number[];
  /** With the removal. */
  readonly agentWholeMs: number[];
  readonly runcWholeMs: number[];
}

/**
 * Create and start of a container, and both with its removal: through the agent, and plain runc with the same config.json.
 * Needs root and runc.
 */
export async function measureContainers({
  go,
  program,
  quick,
}: {
  readonly go: GoPrograms;
  /** The agent. */
  readonly program: string;
  readonly quick: boolean;
}): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'kata-bench-'));
  try {
    const rootfs = makeRootfs(folder);
    const bundle = join(folder, 'bundle');
    mkdirSync(bundle);
    const address = join(folder, 'agent');
    const agent = await startAgent(program, folder, address);
    const args = ['-address', address, '-rootfs', rootfs, '-bundle', bundle, '-n', quick ? '5' : '20'];
    let times: Times;
    try {
      times = (await runForJson(go.container, args)) as Times;
    } finally {
      await agent.stop();
    }
    return [
      {
        what: 'create and start of a container',
        unit: 'ms',
        ours: median(times.agentMs),
        against: { name: 'plain runc', value: median(times.runcMs) },
        goal: { most: 1.15 },
      },
      {
        what: 'create, start and removal of a container',
        unit: 'ms',
        ours: median(times.agentWholeMs),
        against: { name: 'plain runc', value: median(times.runcWholeMs) },
      },
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A root file system with the one command that the containers run. Throws when busybox is missing. */
export function makeRootfs(folder: string): string {
  const busybox = spawnSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).stdout.trim();
  if (busybox === '') throw new Error('busybox is missing (Debian: apt-get install busybox-static)');
  const rootfs = join(folder, 'rootfs');
  for (const name of ['bin', 'proc', 'dev', 'sys', 'tmp']) mkdirSync(join(rootfs, name), { recursive: true });
  copyFileSync(busybox, join(rootfs, 'bin', 'busybox'));
  symlinkSync('busybox', join(rootfs, 'bin', 'sleep'));
  return rootfs;
}
