import { dirname } from 'node:path';
import type { Plugin } from 'esbuild';

/** Omits the built-in puller from an agent that has no program for it beside it: a configuration that chooses it is an error. */
export function omitPuller(): Plugin {
  return {
    name: 'omit-puller',
    setup(build) {
      build.onLoad(
        { filter: /[\\/]agent[\\/]server[\\/]dist[\\/]image[\\/]make-built-in-puller\.js$/ },
        ({ path }) => ({
          contents: `import { cannotPull } from './cannot-pull.js';
export function makeBuiltInPuller() { throw cannotPull('it was built without the puller'); }`,
          resolveDir: dirname(path),
        }),
      );
    },
  };
}
