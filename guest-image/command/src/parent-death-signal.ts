// Child processes that do not outlive this process.
import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process';

/** The program of util-linux. */
const setpriv = '/usr/bin/setpriv';

/**
 * Starts a program with PR_SET_PDEATHSIG: the kernel kills it when this process ends for any reason. The
 * program has its own session, so Ctrl-C in the terminal reaches only this process, which then ends the program
 * in order.
 */
export function spawnWithParentDeathSignal(
  program: string,
  args: readonly string[],
  options: SpawnOptions,
): ChildProcess {
  return spawn(setpriv, ['--pdeathsig', 'KILL', program, ...args], { ...options, detached: true });
}
