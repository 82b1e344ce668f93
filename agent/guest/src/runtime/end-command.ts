import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, processStat } from '@kata-agent/linux';

/** The runtime cleans up after a killed child, unless it is stuck itself. */
const cleanUpMs = 500;

/** A process in uninterruptible sleep, as when a file system does not respond, is left behind after that. */
const dyingMs = 2_000;

/**
 * Kills a command of the runtime that hangs: first its children, then, if it still runs, the command. Most often a
 * child hangs that is in the container already, and it would otherwise stay there. With crun it is a child of this process:
 * the one between it and the command has ended.
 */
export async function endCommand(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || isOver(child)) return;
  const exited = once(child, 'exit');
  const commandLine = commandLineOf(child.pid);
  if (killDescendants(child.pid, commandLine) && (await isWithin(exited, cleanUpMs))) return;
  killDescendants(child.pid, commandLine);
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

/**
 * Reports whether there were any. A process is killed right after it is listed: its pid can be reused only if its parent waits
 * for it in between.
 */
function killDescendants(pid: number, commandLine: string): boolean {
  const orphans = childrenOf(process.pid).filter(
    (each) => each !== pid && isOwn(commandLine) && commandLineOf(each) === commandLine,
  );
  const found = [...orphans, ...[pid, ...orphans].flatMap(descendantsOf)];
  for (const each of found) {
    try {
      process.kill(each, 'SIGKILL');
    } catch (error) {
      if (!hasCode(error, 'ESRCH')) throw error;
    }
  }
  return found.length > 0;
}

/**
 * A fork without an exec keeps the command line. That of create and exec has a pid file that no other command has; another
 * command may run twice at the same time.
 */
function isOwn(commandLine: string): boolean {
  return commandLine.includes('\0--pid-file\0');
}

/** Empty: the process has ended. */
function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'ESRCH')) throw error;
    return '';
  }
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
    // The process has ended, or the kernel has no such list (CONFIG_PROC_CHILDREN).
    return readdirSync('/proc')
      .map(Number)
      .filter((each) => Number.isInteger(each) && processStat(each)?.parent === pid);
  }
}
