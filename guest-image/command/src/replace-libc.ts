import { existsSync, realpathSync } from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { SHARE_ENV, type Worker, type WorkerOptions } from 'node:worker_threads';

/** A function of the C library that koffi has loaded. */
export type CFunction = (...args: unknown[]) => unknown;

interface Koffi {
  load: (path: string | null) => { readonly func: (prototype: string) => CFunction };
}

/**
 * Replaces a function of the C library in this process, and in the threads that it starts, which are preloaded as this process is. The
 * caller must call it before the agent loads koffi.
 */
export function replaceLibc(name: string, replacement: (real: CFunction) => CFunction): void {
  preloadThreads();
  const koffi = loadKoffi();
  const load = koffi.load;
  koffi.load = (path) => {
    const library = load(path);
    const func = (prototype: string): CFunction => {
      const real = library.func(prototype);
      return prototype.startsWith(`int ${name}(`) ? replacement(real) : real;
    };
    return { func };
  };
}

/** Returns a function of the C library. */
export function libcFunction(prototype: string): CFunction {
  return loadKoffi().load(null).func(prototype);
}

/** Returns the koffi of the program that is started: a bundle has its own. It is a dependency of lib/linux, not of this tool. */
function loadKoffi(): Koffi {
  const [, program] = process.argv;
  const from =
    program === undefined || !existsSync(program)
      ? new URL('../../../lib/linux/package.json', import.meta.url)
      : realpathSync(program);
  const addon = 'koffi';
  return createRequire(from)(addon) as Koffi;
}

let threadsArePreloaded = false;

/** Gives threads the `--import` of this process, and shares its environment with them: the agent gives them neither. */
export function preloadThreads(): void {
  if (threadsArePreloaded) return;
  threadsArePreloaded = true;
  const threads = createRequire(import.meta.url)('node:worker_threads') as { Worker: typeof Worker };
  const imports = process.execArgv.flatMap((arg, index, all) =>
    arg === '--import' ? [arg, all[index + 1] ?? ''] : arg.startsWith('--import=') ? [arg] : [],
  );
  const { Worker: Thread } = threads;
  threads.Worker = class extends Thread {
    constructor(program: string | URL, options: WorkerOptions = {}) {
      super(program, { ...options, env: SHARE_ENV, execArgv: [...(options.execArgv ?? []), ...imports] });
    }
  };
  syncBuiltinESMExports();
}
