/**
 * Loads Node's own modules that the agent needs before it listens. Node has what V8 compiled of each, which V8 takes only under
 * the flags that it was made under: so they are loaded before the optimizer is held, and would otherwise be compiled anew.
 * By name, since the bundler leaves out an import of which nothing is used.
 */
export function loadNodeModules(): void {
  for (const name of [
    'child_process',
    'cluster',
    'crypto',
    'fs/promises',
    'stream',
    'timers/promises',
    'zlib',
  ])
    process.getBuiltinModule(name);
}
