import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, type Syscalls } from '@kata-agent/linux';
import type { Runtime } from '../runtime/runtime.js';

/** What the runtime does takes a tenth of this; one that is stuck is killed. */
const PATIENCE_MS = 10_000;
const PAUSE_MS = 20;
const SIGKILL = 9;

/**
 * Waits for commands of the runtime that an agent had begun that was killed: they go on without it, and would change what
 * is being recovered. One that does not end is killed.
 */
export async function awaitEarlierRuntimes(
  runtime: Runtime,
  { syscalls, proc }: { readonly syscalls: Syscalls; readonly proc: string },
): Promise<void> {
  for (let waited = 0; ; waited += PAUSE_MS) {
    const running = runtimesAtWork(runtime.root, proc);
    if (running.length === 0) return;
    if (waited >= PATIENCE_MS) for (const pid of running) kill(pid, syscalls);
    await delay(PAUSE_MS);
  }
}

/** Processes of our mount namespace that were started with `--root ROOT`. A guest has one agent; a test machine several. */
function runtimesAtWork(root: string, proc: string): readonly number[] {
  const own = link(join(proc, 'self/ns/mnt'));
  return readdirSync(proc)
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => read(join(proc, pid, 'cmdline')).includes(`\0--root\0${root}\0`))
    .filter((pid) => link(join(proc, pid, 'ns/mnt')) === own)
    .map(Number);
}

function kill(pid: number, syscalls: Syscalls): void {
  try {
    syscalls.kill(pid, SIGKILL);
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}

/** Empty: the process is gone, or has ended. */
function read(path: string): string {
  return whileThere(() => readFileSync(path, 'utf8'));
}

function link(path: string): string {
  return whileThere(() => readlinkSync(path));
}

function whileThere(look: () => string): string {
  try {
    return look();
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES')) return '';
    throw error;
  }
}
