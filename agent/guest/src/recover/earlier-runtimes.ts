import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SIGKILL, hasCode, type Syscalls } from '@kata-agent/linux';
import type { Runtime } from '../runtime/runtime.js';

/** Time after which a command that hangs is killed: ten times what one takes. */
const TIMEOUT_MS = 10_000;
const PAUSE_MS = 20;

/**
 * Waits for commands of the runtime that a killed agent had started: they are still running, and would change what is
 * being restored. Kills one that does not end.
 */
export async function awaitEarlierRuntimes(
  runtime: Runtime,
  { syscalls, proc }: { readonly syscalls: Syscalls; readonly proc: string },
): Promise<void> {
  for (let waited = 0; ; waited += PAUSE_MS) {
    const running = runtimesAtWork(runtime.root, proc);
    if (running.length === 0) return;
    if (waited >= TIMEOUT_MS) for (const pid of running) kill(pid, syscalls);
    await delay(PAUSE_MS);
  }
}

/**
 * Returns processes of this mount namespace that were started with `--root ROOT`. A guest has one agent; a test machine
 * several.
 */
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

function read(path: string): string {
  return whileThere(() => readFileSync(path, 'utf8'));
}

function link(path: string): string {
  return whileThere(() => readlinkSync(path));
}

/** Returns an empty string if the process has ended meanwhile. */
function whileThere(readFile: () => string): string {
  try {
    return readFile();
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES')) return '';
    throw error;
  }
}
