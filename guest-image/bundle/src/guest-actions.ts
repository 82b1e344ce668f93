// Finds the guest's actions that each handler calls. esbuild resolves the imports, so their form does not matter.
import { join } from 'node:path';
import * as guest from '@kata-agent/guest';
import { build, type Plugin } from 'esbuild';
import { actionsDirectory, exportedFunctions, loadHandlers, servicesDirectory } from './handlers.js';

/** Prefix of the string that replaces an action in the bundle of a handler. */
const marker = 'action of the guest: ';

/**
 * Returns the names of the guest's actions that a method's handler references, by the method's local name.
 * Bundles each handler alone, with strings in place of the actions.
 *
 * @throws Error if no handler references an action, because then this search would miss its code.
 */
export async function guestActionsByMethod(): Promise<ReadonlyMap<string, readonly string[]>> {
  const actions = [...(await exportedFunctions(actionsDirectory)).values()].map(({ name }) => name);
  const exportedHandlers = await exportedFunctions(servicesDirectory);
  const found = new Map<string, readonly string[]>();
  for (const [method, handler] of await loadHandlers()) {
    const handlerExport = exportedHandlers.get(handler);
    if (handlerExport === undefined)
      throw new Error(`no module of services exports the handler of ${method}`);
    const file = JSON.stringify(join(servicesDirectory, `${handlerExport.module}.js`));
    const { outputFiles } = await build({
      stdin: {
        contents: `import { ${handlerExport.name} } from ${file}; globalThis.it = ${handlerExport.name};`,
        resolveDir: servicesDirectory,
      },
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
      plugins: [replaceGuest(actions)],
    });
    const text = outputFiles.map((output) => output.text).join('');
    found.set(
      method,
      actions.filter((action) => text.includes(JSON.stringify(marker + action))),
    );
  }
  const referenced = new Set([...found.values()].flat());
  const missed = actions.filter((action) => !referenced.has(action) && !unconditionalActions.has(action));
  if (missed.length > 0) throw new Error(`no handler references the action ${missed.join(', ')}`);
  return found;
}

/** Actions that every bundle has: the agent calls `shutDown` when it ends, and `shutDown` calls the others. */
export const unconditionalActions: ReadonlySet<string> = new Set(['shutDown', 'destroySandbox', 'takeDown']);

/**
 * Replaces each action by a string, and keeps other packages out of the bundle. Strings of handlers that the
 * bundle does not use are dropped with them.
 */
function replaceGuest(actions: readonly string[]): Plugin {
  return {
    name: 'replace-guest',
    setup(bundler) {
      bundler.onResolve({ filter: /^@kata-agent\/guest$/ }, ({ path }) => ({
        path,
        namespace: 'guest',
        sideEffects: false,
      }));
      bundler.onResolve({ filter: /^(@|node:)/ }, ({ path }) => ({ path, external: true }));
      bundler.onLoad({ filter: /.*/, namespace: 'guest' }, () => ({
        contents: Object.keys(guest)
          .map(
            (name) =>
              `export const ${name} = ${actions.includes(name) ? JSON.stringify(marker + name) : 'undefined'};`,
          )
          .join('\n'),
      }));
    },
  };
}
