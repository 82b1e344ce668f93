import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, processStat } from '@kata-agent/linux';

/** The runtime cleans up behind a process of its own that was killed, if it is not stuck itself. */
const cleanUpMs = 500;

/** A process that the kernel does not let die, since a file system does not answer, is left behind after that. */
const dyingMs = 2_000;

/**
 * Ends a command of the runtime that does not end by itself: first what it has started, then, if it still runs, the command.
 * What hangs is most often its child, in the container already, and would otherwise stay there.
 */
export async function endCommand(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || isOver(child)) return;
  const exited = once(child, 'exit');
  if (killDescendants(child.pid) && (await isWithin(exited, cleanUpMs))) return;
  killDescendants(child.pid);
  child.kill('SIGKILL');
  if (!(await isWithin(exited, dyingMs))) child.unref();
}

function isOver({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

async function isWithin(exited: Promise<unknown>, milliseconds: number): Promise<boolean> {
  const over = new AbortController();
  const late = delay(milliseconds, false, { signal: over.signal }).catch(() => false);
  const ended = await Promise.race([exited.then(() => true), late]);
  over.abort();
  return ended;
}

/** Tells whether there were any. Looking and killing are one step: no pid is another process's meanwhile. */
function killDescendants(pid: number): boolean {
  const found = descendantsOf(pid);
  for (const each of found) {
    try {
      process.kill(each, 'SIGKILL');
    } catch (error) {
      if (!hasCode(error, 'ESRCH')) throw error;
    }
  }
  return found.length > 0;
}

function descendantsOf(pid: number): readonly number[] {
  const found: number[] = [];
  for (let above: readonly number[] = [pid]; above.length > 0; ) {
    above = above.flatMap(childrenOf);
    found.push(...above);
  }
  return found;
}

function childrenOf(pid: number): readonly number[] {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`);
    const lists = tasks.map((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8'));
    return lists.flatMap((list) => list.split(' ').filter(Boolean).map(Number));
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'ESRCH')) throw error;
    // It is gone, or this kernel has no such list (CONFIG_PROC_CHILDREN).
    return readdirSync('/proc')
      .map(Number)
      .filter((each) => Number.isInteger(each) && processStat(each)?.parent === pid);
  }
}
