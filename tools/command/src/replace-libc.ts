import { createRequire } from 'node:module';

/** A function of the C library that koffi has loaded. */
export type CFunction = (...args: unknown[]) => unknown;

interface Koffi {
  load: (path: string | null) => { readonly func: (prototype: string) => CFunction };
}

/** Replaces a function of the C library in this process. The caller must call it before the agent loads koffi. */
export function replaceLibc(name: string, replacement: (real: CFunction) => CFunction): void {
  const require = createRequire(new URL('../../../packages/linux/package.json', import.meta.url));
  // koffi is a dependency of that package, not of this tool.
  const addon = 'koffi';
  const koffi = require(addon) as Koffi;
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
