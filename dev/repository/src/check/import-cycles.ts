// Fails if files import each other in a cycle, imports of types included: none of them can be understood,
// tested or moved without the others. `import()` is ignored.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';

const skipped = new Set(['node_modules', 'dist', 'gen', 'build', '.git']);

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
  const specifiers = [...text.matchAll(/^(?:import|export)\b[^;'"]*?(?:from )?'(\.[^']+)';/gm)];
  return specifiers
    .map(([, specifier = '']) => join(dirname(file), specifier.replace(/\.js$/, '.ts')))
    .filter((path) => known.has(path));
}

/** Returns each cycle once, as a path from a file to itself. */
function cyclesIn(graph: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const found: (readonly string[])[] = [];
  const finished = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file);
    if (at !== -1) found.push([...path.slice(at), file]);
    if (at !== -1 || finished.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    finished.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return found;
}

const files = new Set(sourceFiles(root));
const graph = new Map([...files].map((file) => [file, importsOf(file, files)]));
const cycles = cyclesIn(graph);
for (const cycle of cycles) console.error(cycle.map((file) => relative(root, file)).join('\n  imports '));
process.exit(cycles.length === 0 ? 0 : 1);
