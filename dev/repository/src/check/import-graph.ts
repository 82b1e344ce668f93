// The files of the repository, and which of them import which, imports of types included. `import()` is ignored: what is loaded on
// demand is not needed to understand a file.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';

const skipped = new Set(['node_modules', 'dist', 'gen', 'build', '.git']);

/** Files by path from the root, each with those that it imports by a relative specifier. */
export type ImportGraph = ReadonlyMap<string, readonly string[]>;

/** Reads the imports of all files. */
export function importGraph(): ImportGraph {
  const files = new Set(sourceFiles(root));
  return new Map([...files].map((file) => [pathOf(file), importsOf(file, files).map(pathOf)]));
}

const pathOf = (file: string): string => relative(root, file);

function* sourceFiles(directory: string): Generator<string> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory() && !skipped.has(entry.name)) yield* sourceFiles(path);
    else if (entry.isFile() && /\.(ts|mjs)$/.test(entry.name)) yield path;
  }
}

/** Returns the files of the repository that a file imports. */
function importsOf(file: string, known: ReadonlySet<string>): readonly string[] {
  const text = readFileSync(file, 'utf8');
  const specifiers = [
    ...text.matchAll(/^(?:import|export)\b[^;'"]*?(?:from )?'(\.[^']+)';/gm),
    // What a module adds to an interface of another one.
    ...text.matchAll(/^declare module '(\.[^']+)' \{/gm),
  ];
  return specifiers
    .map(([, specifier = '']) => join(dirname(file), specifier.replace(/\.js$/, '.ts')))
    .filter((path) => known.has(path));
}

/** A group of nodes that all lead to each other, sorted. */
export type Ring = readonly string[];

/** Returns the rings of a graph: its strongly connected components of more than one node (Tarjan). */
export function ringsOf(graph: ReadonlyMap<string, Iterable<string>>): readonly Ring[] {
  const rings: Ring[] = [];
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const visit = (node: string): void => {
    const at = index.size;
    index.set(node, at);
    low.set(node, at);
    stack.push(node);
    for (const next of graph.get(node) ?? []) {
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) low.set(node, Math.min(low.get(node) ?? at, low.get(next) ?? at));
    }
    if (low.get(node) !== at) return;
    const ring = stack.splice(stack.indexOf(node));
    if (ring.length > 1) rings.push(ring.sort());
  };
  for (const node of graph.keys()) if (!index.has(node)) visit(node);
  return rings;
}

/** The directory of a source file within its package, such as `agent/guest/src/storage`; undefined: it is directly in `src`, or in none. */
export function directoryOf(file: string): string | undefined {
  return /^([^/]+\/[^/]+\/src\/[^/]+)\/.+/.exec(file)?.[1];
}

const isTest = (file: string): boolean => /\.test(\.fixture)?\.ts$/.test(file);

/** Returns the graph of the directories directly below `src` of each package: what their files import, without tests. */
export function directoryGraph(graph: ImportGraph): ReadonlyMap<string, ReadonlySet<string>> {
  const directories = new Map<string, Set<string>>();
  for (const [file, imported] of graph) {
    const directory = directoryOf(file);
    if (directory === undefined || isTest(file)) continue;
    const others = directories.get(directory) ?? new Set();
    directories.set(directory, others);
    for (const other of imported.map(directoryOf))
      if (other !== undefined && other !== directory) others.add(other);
  }
  return directories;
}

/** What the files of a directory import from another one. */
export interface DirectoryImport {
  readonly from: string;
  readonly to: string;
  readonly imports: readonly { readonly file: string; readonly imported: string }[];
}

/** Returns the imports between the directories of a ring, without those of tests. */
export function importsWithin(ring: Ring, graph: ImportGraph): readonly DirectoryImport[] {
  const within = new Map<string, { readonly file: string; readonly imported: string }[]>();
  for (const [file, all] of graph) {
    if (isTest(file)) continue;
    for (const imported of all) {
      const [from, to] = [directoryOf(file), directoryOf(imported)];
      if (from === undefined || to === undefined || from === to) continue;
      const key = `${from}\0${to}`;
      within.set(key, [...(within.get(key) ?? []), { file, imported }]);
    }
  }
  return ring.flatMap((from) =>
    ring.flatMap((to) => {
      const imports = within.get(`${from}\0${to}`);
      return imports === undefined ? [] : [{ from, to, imports }];
    }),
  );
}
