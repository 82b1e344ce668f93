// Puts what the agent loads at its start into few files. The bundler makes a file for each set of entries that share modules, and
// a module that is imported on demand is an entry: with each optional part, the start was in more files, and Node.js allocates about
// 0.2 MB for each. If each entry needs the one before it, which is loaded whenever this one is, they share all of it, in one file.
import { dirname, join, relative } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import type { Metafile } from 'esbuild';
import { isOwn } from './direct-imports.js';

type Inputs = Metafile['inputs'];

/** Each module that is imported on demand, and the one that has been loaded before; both relative to the directory of the build. */
type LoadedBefore = ReadonlyMap<string, string>;

/**
 * Returns what is loaded before each module that the program imports on demand: the start, or another of these modules if only it
 * leads there.
 *
 * @param start the module that is loaded at the start, relative to the directory of the build.
 */
export function loadedBefore({ inputs }: Pick<Metafile, 'inputs'>, start: string): LoadedBefore {
  const onDemand = new Set(importsOf(inputs, Object.keys(inputs), 'dynamic-import'));
  const parents = new Map<string, Set<string>>();
  for (const entry of new Set([start, ...onDemand]))
    for (const module of importsOf(inputs, closure(inputs, entry), 'dynamic-import'))
      parents.set(module, (parents.get(module) ?? new Set()).add(entry));
  return new Map(
    [...onDemand].flatMap((module) => {
      const [parent = start, another] = parents.get(module) ?? [];
      return module === start ? [] : [[module, another === undefined ? parent : start]];
    }),
  );
}

/** Returns a function that makes each module need what is loaded before it. */
export function startFirst(before: LoadedBefore, directory: string): (text: string, path: string) => string {
  const parents = new Map(
    [...before].map(([module, parent]) => [join(directory, module), join(directory, parent)]),
  );
  return (text, path) => {
    const parent = parents.get(path);
    if (parent === undefined) return text;
    const specifier = relative(dirname(path), parent);
    return `${text}\nexport * as loadedBefore from ${JSON.stringify(specifier.startsWith('.') ? specifier : `./${specifier}`)};\n`;
  };
}

/** Returns the modules of this repository that these ones import, in one way. */
function importsOf(inputs: Inputs, modules: Iterable<string>, kind: string): readonly string[] {
  return [...modules].flatMap((module) =>
    (inputs[module]?.imports ?? [])
      .filter((one) => one.kind === kind && isOwn(join(root, one.path)))
      .map(({ path }) => path),
  );
}

/** Returns a module, and all that are loaded with it. */
function closure(inputs: Inputs, module: string): ReadonlySet<string> {
  const found = new Set([module]);
  for (const each of found) for (const path of importsOf(inputs, [each], 'import-statement')) found.add(path);
  return found;
}
