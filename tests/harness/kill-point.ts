// Loaded into an agent with `--import`: kills it by SIGKILL at one call to the world outside, which KILL_POINT names.
import childProcess, { type ChildProcess, type SpawnOptions } from 'node:child_process';
import fs from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';

/** The call at which an agent is killed. */
export interface KillPoint {
  /** A function of node:fs, or `spawn`, `mount`, `umount2`, `unlinkat`. */
  readonly call: string;
  /** A regular expression; the call's arguments, joined by blanks, match it. */
  readonly matching: string;
  /** Of those calls, which one; 1 if absent. */
  readonly nth?: number;
  /** `during`: a program was started and runs. */
  readonly when: 'before' | 'during' | 'after';
}

const text = process.env['KILL_POINT'];
if (text !== undefined) arm(JSON.parse(text) as KillPoint);

function arm({ call, matching, nth = 1, when }: KillPoint): void {
  const pattern = new RegExp(matching);
  let seen = 0;
  const hit = (args: readonly unknown[]): boolean => {
    if (!pattern.test(args.map(printable).join(' '))) return false;
    seen += 1;
    return seen === nth;
  };
  if (call === 'spawn') armSpawn(hit, when);
  else if (['mount', 'umount2', 'unlinkat'].includes(call)) armLibc(call, hit, when);
  else armFiles(call, hit, when);
  syncBuiltinESMExports();
}

type Hit = (args: readonly unknown[]) => boolean;
type Call = (...args: unknown[]) => unknown;

function armFiles(name: string, hit: Hit, when: KillPoint['when']): void {
  const files = fs as unknown as Record<string, Call>;
  const real = files[name];
  if (real === undefined) throw new Error(`node:fs has no ${name}`);
  files[name] = around(real.bind(fs), hit, when);
}

function armLibc(name: string, hit: Hit, when: KillPoint['when']): void {
  const require = createRequire(new URL('../../../packages/linux/package.json', import.meta.url));
  // A dependency of that package, and none of the tests.
  const addon = 'koffi';
  const koffi = require(addon) as { load: (path: string | null) => { func: (prototype: string) => Call } };
  const load = koffi.load;
  koffi.load = (path) => {
    const library = load(path);
    const func = (prototype: string): Call => {
      const real = library.func(prototype);
      return prototype.startsWith(`int ${name}(`) ? around(real, hit, when) : real;
    };
    return { func };
  };
}

function armSpawn(hit: Hit, when: KillPoint['when']): void {
  const real = childProcess.spawn as (
    file: string,
    args: readonly string[],
    options: SpawnOptions,
  ) => ChildProcess;
  const armed = (file: string, args: readonly string[], options: SpawnOptions): ChildProcess => {
    const struck = hit([file, ...args]);
    if (struck && when === 'before') die();
    const child = real(file, args, options);
    if (struck && when === 'during') die();
    if (struck) child.prependOnceListener('exit', die);
    return child;
  };
  (childProcess as { spawn: unknown }).spawn = armed;
}

function around(real: Call, hit: Hit, when: KillPoint['when']): Call {
  return (...args) => {
    const struck = hit(args);
    if (struck && when === 'before') die();
    const result = real(...args);
    if (struck) die();
    return result;
  };
}

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** The text of C strings; of other arguments what they are. */
function printable(argument: unknown): string {
  return argument instanceof Uint8Array
    ? Buffer.from(argument).toString().replaceAll('\0', '')
    : String(argument);
}
