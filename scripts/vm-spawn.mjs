// Programs that live as long as this process and no longer.
import { spawn } from 'node:child_process';

/** Of util-linux. */
const setpriv = '/usr/bin/setpriv';

/**
 * Starts a program that the kernel ends when this process ends, however that comes about; Ctrl-C in the terminal is for
 * this process alone, which ends the program in order.
 */
export function spawnTied(program, args, options) {
  return spawn(setpriv, ['--pdeathsig', 'KILL', program, ...args], { ...options, detached: true });
}
