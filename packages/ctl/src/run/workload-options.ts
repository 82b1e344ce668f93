import { randomBytes } from 'node:crypto';
import type { Invocation, OptionRow } from '../cli/definition.js';
import { CommandError } from '../command-error.js';
import { ExitCode } from '../exit-code.js';
import { terminalSize } from './attach.js';
import type { ProcessRequest } from './process-spec.js';

/** The options that `run` and `exec` share. */
export const workloadOptions: readonly OptionRow[] = [
  { flags: '-i, --interactive', says: 'pass standard input on; without it the program’s is closed' },
  { flags: '-t, --tty', says: 'give the program a terminal, as large as this one' },
  {
    flags: '-e, --env <name=value>',
    says: 'set a variable; NAME alone takes the value from here; may be repeated',
    repeatable: true,
  },
  { flags: '--cwd <path>', says: 'the working directory (default: /)' },
  { flags: '-u, --user <uid:gid>', says: 'user and groups in numbers: uid, uid:gid or uid:gid,gid' },
];

/** The program that a `run` or `exec` asks for. Throws a CommandError (wrong use). */
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

/** An identifier that no other run has: `run-3f9a0c1d`. */
export function freshId(prefix: string): string {
  return `${prefix}-${randomBytes(4).toString('hex')}`;
}
