// Runs programs to their end, and finds those that are installed.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inPath } from '@kata-agent/setup/bootstrap';
import { PartSkipped } from './part.js';

/** What the bats tests need, which write beside themselves. */
const needed = ['VERSION', 'versions.yaml', 'src/kata-opa', 'tests'];

export interface ProgramResult {
  /** Null after a signal, which includes the end of the time limit. */
  readonly code: number | null;
  /** stdout and stderr, in the order in which they arrived. */
  readonly output: string;
}

interface ProgramOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly seconds: number;
}

/** Runs a program and waits for its end; kills it after a number of seconds. */
export async function runProgram(
  command: string,
  args: readonly string[],
  { cwd, env = {}, seconds }: ProgramOptions,
): Promise<ProgramResult> {
  const child = spawn(command, [...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: seconds * 1000,
    killSignal: 'SIGKILL',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

/** Skips the part unless a program is in PATH. `source`: the Debian package, or where else it comes from. */
export function requireProgram(name: string, source: string): void {
  if (!inPath(name)) throw new PartSkipped(`${name} is not installed; help: ${source}`);
}

/** Returns the first line that a program prints of its version, or undefined if it is not installed. */
export function versionOf(command: string, ...args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync(command, [...args], { encoding: 'utf8', timeout: 20_000 });
  return status === 0 ? stdout.split('\n')[0]?.trim() : undefined;
}

// The checkout of Kata's source: its version, and a copy of its tests.

/** Returns the version of a checkout and, if it is of git, the commit. */
export function kataVersion(source: string): string {
  const file = join(source, 'VERSION');
  const version = existsSync(file) ? readFileSync(file, 'utf8').trim() : 'without VERSION';
  const commit = versionOf('git', '-C', source, 'rev-parse', '--short=10', 'HEAD');
  return commit === undefined ? version : `${version} (${commit})`;
}

/** Copies the tests of a checkout. */
export function copyTests(source: string, target: string): void {
  mkdirSync(target, { recursive: true });
  for (const name of needed.filter((one) => existsSync(join(source, one))))
    cpSync(join(source, name), join(target, name), {
      recursive: true,
      verbatimSymlinks: true,
      preserveTimestamps: true,
    });
}
