// Omits the code of methods from a bundle of the agent (R13) by replacing two of its modules: `build-facts.js`
// by the facts of this build, and the table of handlers by one without the rows of those methods. Nothing else
// references a handler, so the bundler drops its code, and the code that only it references: `sideEffects` in package.json says that
// importing a module of this repository does nothing else.
import { dirname } from 'node:path';
import type { BuildFacts } from '@kata-agent/agent/build-facts';
import { AgentService } from '@kata-agent/protocol/agent';
import type { Plugin } from 'esbuild';
import { exportedFunctions, loadHandlers, servicesDirectory } from './search.js';

/** Returns the esbuild plugin for a build with these facts. */
export function omitMethods(facts: BuildFacts): Plugin {
  return {
    name: 'omit-methods',
    setup(build) {
      build.onLoad({ filter: /[\\/]agent[\\/]server[\\/]dist[\\/]build-facts\.js$/ }, () => ({
        contents: `export const buildFacts = ${JSON.stringify(facts)};`,
      }));
      build.onLoad({ filter: /[\\/]agent[\\/]server[\\/]dist[\\/]services[\\/]table\.js$/ }, async () => ({
        contents: await tableWithout(new Set(facts.leftOut)),
        resolveDir: servicesDirectory,
      }));
    },
  };
}

/**
 * Returns the source of a table of handlers without some methods, for which ttrpc answers UNIMPLEMENTED. The
 * export of each handler is found by comparing functions, so that services/table.ts remains the only list.
 */
async function tableWithout(leftOut: ReadonlySet<string>): Promise<string> {
  const handlers = await loadHandlers();
  const exported = await exportedFunctions(servicesDirectory);
  const imports: string[] = [];
  const rows: string[] = [];
  for (const { name, localName } of AgentService.methods) {
    if (leftOut.has(name)) continue;
    const handlerExport = exported.get(handlers.get(localName));
    if (handlerExport === undefined)
      throw new Error(`services/table.ts: ${localName} is not a function that a module of services exports`);
    imports.push(`import { ${handlerExport.name} as ${localName} } from './${handlerExport.module}.js';`);
    rows.push(localName);
  }
  return [...imports, `export const handlers = { ${rows.join(', ')} };`].join('\n');
}

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
