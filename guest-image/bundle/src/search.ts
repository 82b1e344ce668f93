// Searches a bundle for the code of handlers, to verify that omitted methods have none.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as guest from '@kata-agent/guest';
import { AgentService } from '@kata-agent/protocol/agent';
import { root } from '@kata-agent/setup/bootstrap';
import { build, type Plugin, transformSync } from 'esbuild';

/** The occurrences in a bundle of functions that differ only in names. */
export interface SearchRow {
  /** For each function, the methods that need it. */
  readonly functions: readonly (readonly string[])[];
  /** The number of occurrences in the bundle. */
  readonly found: number;
}

/**
 * Searches a bundle for the functions that do the work of each method: its handler, and the guest's actions
 * that the handler calls. Functions that differ only in names, such as the handlers of StartContainer and
 * PauseContainer, share a row: the bundler renames, so only their number can be determined.
 */
export async function searchHandlers(directory: string): Promise<readonly SearchRow[]> {
  const text = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.[cm]js$/.test(entry.name))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n')
    // In a script esbuild writes a call of another module's function as `(0,module.name)(…)`.
    .replaceAll(/\(0,[\w$]+\.([\w$]+)\)/g, '$1');
  const rows = new Map<string, { readonly functions: (readonly string[])[]; readonly found: number }>();
  uses ??= functionUses();
  for (const [handler, { methods, calls }] of await uses) {
    const pattern = patternOf(handler, calls);
    const form = pattern.replaceAll(optionalName, '');
    const row = rows.get(form) ?? {
      functions: [],
      found: text.match(new RegExp(pattern, 'g'))?.length ?? 0,
    };
    row.functions.push(methods);
    rows.set(form, row);
  }
  return [...rows.values()];
}

/**
 * Returns the rows whose number of occurrences is not the number of functions that a bundle without these
 * methods needs.
 */
export function unexpectedRows(rows: readonly SearchRow[], leftOut: readonly string[]): readonly SearchRow[] {
  const isNeeded = (methods: readonly string[]): boolean => methods.some((name) => !leftOut.includes(name));
  return rows.filter(({ functions, found }) => found !== functions.filter(isNeeded).length);
}

/** Of the compiled packages, which do not change while this program runs. */
let uses: ReturnType<typeof functionUses> | undefined;

/** The use of a handler or an action. */
interface FunctionUse {
  /** The methods that need the function. */
  readonly methods: string[];
  /** The names of the guest's actions that it calls. */
  readonly calls: readonly string[];
}

/**
 * Returns the use of each handler and action. Unconditional actions have a pseudo-method that is never omitted.
 */
async function functionUses(): Promise<ReadonlyMap<unknown, FunctionUse>> {
  const [handlers, actionsByMethod, exported] = [
    await loadHandlers(),
    await guestActionsByMethod(),
    await exportedFunctions(actionsDirectory),
  ];
  const actions = new Map([...exported].map(([action, { name }]) => [name, action]));
  const found = new Map<unknown, FunctionUse>();
  const add = (used: unknown, method: string, calls: readonly string[]): void => {
    const known = found.get(used) ?? { methods: [], calls };
    known.methods.push(method);
    found.set(used, known);
  };
  for (const name of unconditionalActions) add(actions.get(name), '(end of the agent)', []);
  for (const { name, localName } of AgentService.methods) {
    const calls = actionsByMethod.get(localName) ?? [];
    add(handlers.get(localName), name, calls);
    for (const call of calls) add(actions.get(call), name, []);
  }
  return found;
}

/** Returns the source of a function. */
function sourceOf(value: unknown): string {
  if (typeof value === 'function') return value.toString();
  throw new Error(`a handler or an action is ${typeof value}, not a function`);
}

const optionalName = /\(\?:\w+:\)\?/g;

const keywords = new Set(
  `async await break case catch class const continue default delete do else false finally for function get if in
  instanceof let new null of return static super switch this throw true try typeof var void while yield`.split(
    /\s+/,
  ),
);

/**
 * Returns a pattern that finds a function in a bundle: its minified source, with any name in place of each
 * identifier. Property names and strings must match exactly. `calls`: members of an imported namespace, which
 * become plain identifiers in a bundle.
 */
function patternOf(value: unknown, calls: readonly string[]): string {
  const source = calls.reduce(
    (text, call) => text.replaceAll(new RegExp(`\\b\\w+\\.(${call})\\b`, 'g'), '$1'),
    sourceOf(value),
  );
  const { code } = transformSync(`globalThis.it = ${source}`, { minify: true, target: 'node20' });
  const minified = code
    .slice('globalThis.it='.length)
    .replace(/;\s*$/, '')
    .replace(/^((?:async )?function)\(/, '$1 it(');
  const token =
    /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?<name>(?<![\w$]|(?<!\.\.)\.)[A-Za-z_$][\w$]*)(?<key>:?)|[^"'A-Za-z_$]+|./g;
  return [...minified.matchAll(token)]
    .map(([piece, name, key = '']) => {
      // When esbuild puts all modules into one scope, it writes `let` for `const`.
      if (name === 'const') return '(?:const|let)';
      const isName = name !== undefined && !keywords.has(name) && (key === '' || name.length === 1);
      // The shorthand `{ version }` becomes `{ version: a }` when the value is renamed.
      const own = name !== undefined && name.length > 1 ? `(?:${name}:)?` : '';
      return isName ? `${own}[\\w$]+${key}` : piece.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
    })
    .join('');
}

/** Prefix of the string that replaces an action in the bundle of a handler. */
const marker = 'action of the guest: ';

/** Actions that every bundle has: the agent calls `shutDown` when it ends, and `shutDown` calls the others. */
const unconditionalActions: ReadonlySet<string> = new Set(['shutDown', 'destroySandbox', 'takeDown']);

// Finds the guest's actions that each handler calls. esbuild resolves the imports, so their form does not matter.

/**
 * Returns the names of the guest's actions that a method's handler references, by the method's local name.
 * Bundles each handler into a file of its own, with strings in place of the actions.
 *
 * @throws Error if no handler references an action, because then this search would miss its code.
 */
async function guestActionsByMethod(): Promise<ReadonlyMap<string, readonly string[]>> {
  const actions = [...(await exportedFunctions(actionsDirectory)).values()].map(({ name }) => name);
  const exportedHandlers = await exportedFunctions(servicesDirectory);
  const entries = new Map<string, string>();
  for (const [method, handler] of await loadHandlers()) {
    const handlerExport = exportedHandlers.get(handler);
    if (handlerExport === undefined)
      throw new Error(`no module of services exports the handler of ${method}`);
    const file = JSON.stringify(join(servicesDirectory, `${handlerExport.module}.js`));
    entries.set(
      method,
      `import { ${handlerExport.name} } from ${file}; globalThis.it = ${handlerExport.name};`,
    );
  }
  // One build with an entry for each handler, and without splitting: a module is read once, and each output has what its handler needs.
  const { outputFiles } = await build({
    entryPoints: [...entries.keys()].map((method) => ({ in: handlerPrefix + method, out: method })),
    outdir: servicesDirectory,
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    plugins: [handlerEntries(entries), replaceGuest(actions)],
  });
  const found = new Map<string, readonly string[]>(
    outputFiles.map(({ path, text }) => [
      basename(path, '.js'),
      actions.filter((action) => text.includes(JSON.stringify(marker + action))),
    ]),
  );
  const without = [...entries.keys()].filter((method) => !found.has(method));
  if (without.length > 0) throw new Error(`no bundle has the handler of ${without.join(', ')}`);
  const referenced = new Set([...found.values()].flat());
  const missed = actions.filter((action) => !referenced.has(action) && !unconditionalActions.has(action));
  if (missed.length > 0) throw new Error(`no handler references the action ${missed.join(', ')}`);
  return found;
}

const handlerPrefix = 'handler:';

/** Entries whose text is given, by the method. */
function handlerEntries(entries: ReadonlyMap<string, string>): Plugin {
  return {
    name: 'handler-entries',
    setup(bundler) {
      bundler.onResolve({ filter: new RegExp(`^${handlerPrefix}`) }, ({ path }) => ({
        path: path.slice(handlerPrefix.length),
        namespace: 'handler',
      }));
      bundler.onLoad({ filter: /.*/, namespace: 'handler' }, ({ path }) => ({
        contents: entries.get(path) ?? '',
        resolveDir: servicesDirectory,
      }));
    },
  };
}

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

/** The directory of the modules that export handlers. */
export const servicesDirectory: string = join(root, 'agent', 'server', 'dist', 'services');

/** The directory of the modules that export the guest's actions, which do the work of handlers. */
const actionsDirectory: string = join(root, 'agent', 'guest', 'dist', 'perform');

// The agent's handlers and the guest's actions, as the functions that the compiled packages export. None is
// called.

/** Returns the handler of each method, by the method's local name (`createContainer`). */
export async function loadHandlers(): Promise<ReadonlyMap<string, unknown>> {
  const table = pathToFileURL(join(servicesDirectory, 'table.js')).href;
  const { handlers }: { readonly handlers: Readonly<Record<string, unknown>> } = await import(table);
  return new Map(Object.entries(handlers));
}

/** The export of a function. */
interface FunctionExport {
  /** The file name without `.js`. */
  readonly module: string;
  readonly name: string;
}

/** Imports the modules of a directory and returns each exported function with its export. */
export async function exportedFunctions(directory: string): Promise<ReadonlyMap<unknown, FunctionExport>> {
  const functions = new Map<unknown, FunctionExport>();
  for (const file of readdirSync(directory)) {
    if (!file.endsWith('.js') || file.endsWith('.test.js') || file === 'table.js') continue;
    const exported: Readonly<Record<string, unknown>> = await import(
      pathToFileURL(join(directory, file)).href
    );
    for (const [name, value] of Object.entries(exported)) {
      if (typeof value === 'function') functions.set(value, { module: file.slice(0, -'.js'.length), name });
    }
  }
  return functions;
}
