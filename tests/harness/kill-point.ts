// Preloaded by an agent with `--import`: kills the agent by SIGKILL at the call in KILL_POINT.
import childProcess, { type ChildProcess, type SpawnOptions } from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { type CFunction, preloadThreads, replaceLibc } from '@kata-agent/tool-command/replace-libc';

/** The call at which an agent is killed. */
export interface KillPoint {
  /** A function of node:fs, or `spawn`, `mount`, `umount2`, `unlinkat`. */
  readonly call: string;
  /** A regular expression for the call's arguments, joined by spaces. */
  readonly matching: string;
  /** The number of the matching call, from 1; 1 if absent. */
  readonly nth?: number;
  /** `during`: while the started program runs. */
  readonly when: 'before' | 'during' | 'after';
}

const text = process.env['KILL_POINT'];
if (text !== undefined) arm(JSON.parse(text) as KillPoint);

function arm({ call, matching, nth = 1, when }: KillPoint): void {
  const pattern = new RegExp(matching);
  const hit = (args: readonly unknown[]): boolean => {
    if (!pattern.test(args.map(printable).join(' '))) return false;
    // Calls are made in the threads of the agent, too, which share its environment.
    const seen = Number(process.env['KILL_POINT_SEEN'] ?? 0) + 1;
    process.env['KILL_POINT_SEEN'] = String(seen);
    return seen === nth;
  };
  preloadThreads();
  if (call === 'spawn') armSpawn(hit, when);
  else if (['mount', 'umount2', 'unlinkat'].includes(call))
    replaceLibc(call, (real) => around(real, hit, when));
  else armFiles(call, hit, when);
  syncBuiltinESMExports();
}

type Hit = (args: readonly unknown[]) => boolean;

function armFiles(name: string, hit: Hit, when: KillPoint['when']): void {
  const files = fs as unknown as Record<string, CFunction>;
  const real = files[name];
  if (real === undefined) throw new Error(`node:fs has no ${name}`);
  files[name] = around(real.bind(fs), hit, when);
}

function armSpawn(hit: Hit, when: KillPoint['when']): void {
  const real = childProcess.spawn as (
    file: string,
    args: readonly string[],
    options: SpawnOptions,
  ) => ChildProcess;
  const armed = (file: string, args: readonly string[], options: SpawnOptions): ChildProcess => {
    const isHit = hit([file, ...args]);
    if (isHit && when === 'before') die();
    const child = real(file, args, options);
    if (isHit && when === 'during') die();
    if (isHit) child.prependOnceListener('exit', die);
    return child;
  };
  (childProcess as { spawn: unknown }).spawn = armed;
  armPosixSpawn(hit, when);
}

/** A program that the agent starts by posix_spawn(3) has ended when waitpid(2) returns its pid. */
function armPosixSpawn(hit: Hit, when: KillPoint['when']): void {
  let waited: number | undefined;
  const spawn =
    (real: CFunction): CFunction =>
    (pid, path, actions, attributes, argv, ...more) => {
      const isHit = hit(wordsOf(argv as Uint8Array));
      if (isHit && when === 'before') die();
      const result = real(pid, path, actions, attributes, argv, ...more);
      if (isHit && when === 'during') die();
      if (isHit) waited = Buffer.from(pid as Uint8Array).readInt32LE();
      return result;
    };
  const waitpid =
    (real: CFunction): CFunction =>
    (...args) => {
      const result = real(...args);
      if (result !== undefined && result === waited) die();
      return result;
    };
  replaceLibc('posix_spawn', spawn);
  replaceLibc('waitpid', waitpid);
}

/** Returns the texts of a `char *[]` of lib/linux: they follow the null pointer. */
function wordsOf(list: Uint8Array): readonly string[] {
  const content = Buffer.from(list);
  let end = 0;
  while (content.readBigUInt64LE(end) !== 0n) end += 8;
  return content.toString('utf8', end + 8, content.length - 1).split('\0');
}

function around(real: CFunction, hit: Hit, when: KillPoint['when']): CFunction {
  return (...args) => {
    const isHit = hit(args);
    if (isHit && when === 'before') die();
    const result = real(...args);
    if (isHit) die();
    return result;
  };
}

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** Returns the text of C strings; other arguments unchanged. */
function printable(argument: unknown): string {
  return argument instanceof Uint8Array
    ? Buffer.from(argument).toString().replaceAll('\0', '')
    : String(argument);
}
