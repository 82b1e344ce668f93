// Looks for the code of handlers in a bundle, so that what was to be left out is known to be left out.
// `node scripts/bundle-search.mjs FOLDER` prints what it found as JSON.
import { AgentService } from '@kata-agent/protocol/agent';
import { transformSync } from 'esbuild';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { root } from './bootstrap.mjs';

/**
 * Looks for the functions that do the work of each built method: its handler, and what the handler has the guest perform.
 * Functions that differ in names alone share a row (StartContainer and PauseContainer both only pass an id on): the
 * bundler renames, so that their number is all that can be told.
 *
 * @returns rows: the `functions`, each as the methods that need it, and how many of them were `found`.
 */
export async function searchHandlers(folder) {
  const text = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.[cm]js$/.test(entry.name))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n')
    // In a script the functions of other modules are called so.
    .replaceAll(/\(0,[\w$]+\.([\w$]+)\)/g, '$1');
  const rows = new Map();
  for (const [work, methods] of await workOfMethods()) {
    const pattern = patternOf(work);
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

/** The rows whose functions are not exactly those that are needed when these methods are left out. */
export function misplaced(rows, leftOut) {
  const isNeeded = (methods) => methods.some((name) => !leftOut.includes(name));
  return rows.filter(({ functions, found }) => found !== functions.filter(isNeeded).length);
}

/** Each function, with the methods that need it. What the agent does at its own end too is in every bundle. */
async function workOfMethods() {
  const table = pathToFileURL(join(root, 'packages/agent/dist/services/table.js')).href;
  const [{ handlers }, guest] = await Promise.all([import(table), import('@kata-agent/guest')]);
  const works = new Map([[guest.destroySandbox, ['(end of the agent)']]]);
  for (const { name, localName } of AgentService.methods) {
    const handler = handlers[localName];
    const performed = [...handler.toString().matchAll(/\bperform\.(\w+)/g)].map(
      ([, action]) => guest[action],
    );
    for (const work of [handler, ...performed]) works.set(work, [...(works.get(work) ?? []), name]);
  }
  return works;
}

const optionalName = /\(\?:\w+:\)\?/g;

const words = new Set(
  `async await break case catch class const continue default delete do else false finally for function get if in
  instanceof let new null of return static super switch this throw true try typeof var void while yield`.split(
    /\s+/,
  ),
);

/**
 * A pattern that finds a function after it was bundled: minified like it, with any name in the place of each name. Names
 * of properties and texts stay what they are.
 */
function patternOf(work) {
  const source = work.toString().replaceAll(/\bperform\.(\w+)/g, '$1');
  const { code } = transformSync(`globalThis.it = ${source}`, { minify: true, target: 'node20' });
  const minified = code
    .slice('globalThis.it='.length)
    .replace(/;\s*$/, '')
    .replace(/^((?:async )?function)\(/, '$1 it(');
  const token =
    /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?<name>(?<![\w$]|(?<!\.\.)\.)[A-Za-z_$][\w$]*)(?<key>:?)|[^"'A-Za-z_$]+|./g;
  return [...minified.matchAll(token)]
    .map(([piece, name, key]) => {
      // With all modules in one scope the bundler writes `let` for `const`.
      if (name === 'const') return '(?:const|let)';
      const isName = name !== undefined && !words.has(name) && (key === '' || name.length === 1);
      // A property `{ version }` is written `{ version: a }` once the value has another name.
      const own = name?.length > 1 ? `(?:${name}:)?` : '';
      return isName ? `${own}[\\w$]+${key}` : piece.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
    })
    .join('');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await searchHandlers(process.argv[2]), undefined, 2));
}
