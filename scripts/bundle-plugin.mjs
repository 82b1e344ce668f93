// What the bundler does to the agent (R13): two of its modules are replaced. `build-facts.js` becomes the facts of this
// build, and the table of handlers loses the rows of what is left out. Nothing else reaches a handler, so its code, and
// whatever only it reaches, is not in the bundle.
import { AgentService } from '@kata-agent/protocol/agent';
import { readdirSync } from 'node:fs';
import { join, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './bootstrap.mjs';

const packages = join(root, 'packages') + sep;
const agent = join(packages, 'agent', 'dist');
const services = join(agent, 'services');

/** The plugin for a build with these facts. */
export function leaveOut(facts) {
  return {
    name: 'leave-out',
    setup(build) {
      build.onLoad({ filter: /[\\/]agent[\\/]dist[\\/]build-facts\.js$/ }, () => ({
        contents: `export const buildFacts = ${JSON.stringify(facts)};`,
      }));
      build.onLoad({ filter: /[\\/]agent[\\/]dist[\\/]services[\\/]table\.js$/ }, async () => ({
        contents: await tableWithout(new Set(facts.leftOut)),
        resolveDir: services,
      }));
      // Our modules do nothing when they are imported, so one that nobody uses need not be kept.
      build.onResolve({ filter: /^(\.|@kata-agent\/)/ }, async ({ path, pluginData, ...from }) => {
        if (pluginData === asked) return undefined;
        const { errors, warnings, ...found } = await build.resolve(path, { ...from, pluginData: asked });
        if (errors.length > 0) return { errors, warnings };
        return found.path.startsWith(packages) ? { ...found, sideEffects: false } : found;
      });
    },
  };
}

const asked = Symbol('resolved by esbuild itself');

/**
 * The source of a table of handlers without some methods; ttrpc answers UNIMPLEMENTED for what has no row. Where each
 * handler is exported is found by looking for the function itself, so that the real table stays the only list.
 */
async function tableWithout(leftOut) {
  const { handlers } = await load('table');
  const exported = await exportedFunctions();
  const imports = [];
  const rows = [];
  for (const { name, localName } of AgentService.methods) {
    if (leftOut.has(name)) continue;
    const place = exported.get(handlers[localName]);
    if (place === undefined)
      throw new Error(`services/table.ts: ${localName} is not a function that a module of services exports`);
    imports.push(`import { ${place.name} as ${localName} } from './${place.module}.js';`);
    rows.push(localName);
  }
  return [...imports, `export const handlers = { ${rows.join(', ')} };`].join('\n');
}

/** Each function that a module of `services` exports, with its place. */
async function exportedFunctions() {
  const places = new Map();
  for (const file of readdirSync(services)) {
    if (!file.endsWith('.js') || file.endsWith('.test.js') || file === 'table.js') continue;
    const module = file.slice(0, -'.js'.length);
    for (const [name, value] of Object.entries(await load(module))) {
      if (typeof value === 'function') places.set(value, { module, name });
    }
  }
  return places;
}

function load(module) {
  return import(pathToFileURL(join(services, `${module}.js`)).href);
}
