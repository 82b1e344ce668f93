import { randomBytes } from 'node:crypto';
import { CommandError, ExitCode, type Invocation, type OptionRow } from '@kata-agent/cli';
import { terminalSize } from './attach.js';
import type { ProcessRequest } from './spec.js';

/** Options that `run` and `exec` share. */
export const workloadOptions: readonly OptionRow[] = [
  {
    flags: '-i, --interactive',
    description: 'forward standard input; without it the program’s input is closed',
  },
  { flags: '-t, --tty', description: 'allocate a terminal with the size of this one' },
  {
    flags: '-e, --env <name=value>',
    description: 'set an environment variable; NAME alone takes the caller’s value; may be repeated',
    repeatable: true,
  },
  { flags: '--cwd <path>', description: 'the working directory (default: /)' },
  { flags: '-u, --user <uid:gid>', description: 'user and groups as numbers: uid, uid:gid or uid:gid,gid' },
];

/** Returns the program that a `run` or `exec` starts. Throws a CommandError (wrong use). */
export function processRequest(invocation: Invocation, words: readonly string[]): ProcessRequest {
  const { options, io } = invocation;
  const args = words[0] === '--' ? words.slice(1) : [...words];
  if (args.length === 0 || args[0] === '') {
    throw new CommandError(ExitCode.Usage, 'the program to start is missing');
  }
  return {
    args,
    env: options.texts('env'),
    user: options.text('user'),
    cwd: options.text('cwd'),
    terminal: options.flag('tty'),
    size: terminalSize(io.stdout),
  };
}

/** Returns a unique ID: `run-3f9a0c1d`. */
export function freshId(prefix: string): string {
  return `${prefix}-${randomBytes(4).toString('hex')}`;
}
