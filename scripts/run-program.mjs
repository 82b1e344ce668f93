// Runs a program and returns its output.
import { spawnSync } from 'node:child_process';

/**
 * Runs a program with English messages (LC_ALL=C) and returns its stdout. Throws an error with its output if it
 * fails.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {string}
 */
export function run(command, args, options = {}) {
  return runForBytes(command, args, options).toString();
}

/**
 * Like `run`, but returns bytes. `input`: its stdin.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, input?: Buffer }} [options]
 * @returns {Buffer}
 */
export function runForBytes(command, args, options = {}) {
  const env = { ...process.env, LC_ALL: 'C' };
  const { error, signal, status, stderr, stdout } = spawnSync(command, args, {
    maxBuffer: 256 << 20,
    env,
    ...options,
  });
  if (error !== undefined) {
    if ('code' in error && error.code === 'ENOENT')
      throw new Error(
        `${command}: no such program in PATH\nhelp: install it; images are built on Debian, from its packages`,
      );
    throw new Error(`${command}: ${error.message}`);
  }
  if (signal !== null) throw new Error(`${command}: terminated by ${signal}`);
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')}: ${String(stderr.length > 0 ? stderr : stdout).trim()}`);
  return stdout;
}
