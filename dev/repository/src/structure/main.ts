// `npm run structure`: counts what makes the repository easy or hard to find one's way in: packages and what they import, directories
// that import each other, files and their lengths, exported names.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { packageDirectories } from '@kata-agent/setup/products';
import { commandLine, parseOptions } from '@kata-agent/tool-command/command-line';
import { imports } from '../check/package-directions.js';
import { directoryGraph, importGraph, importsWithin, ringsOf } from '../check/import-graph.js';

const usage = `npm run structure [-- --format FORMAT] [-- --rings]
Counts packages and their imports, directories in rings, files, their lengths, and exported names that one file imports.
  --rings            also print the directories of each ring, and which files make it one
  --format FORMAT    text or json; default: text
  --help             print this help
Example: npm run --silent structure -- --format json`;

const { rings: printsRings, format } = commandLine(usage, (words: readonly string[]) => {
  const { values } = parseOptions(words, {
    rings: { type: 'boolean', default: false },
    format: { type: 'string', default: 'text' },
  });
  if (values.format !== 'text' && values.format !== 'json')
    throw new Error(`--format ${values.format}: use text or json`);
  return values;
});

const graph = importGraph();
const isSource = (file: string): boolean =>
  packageDirectories.some((directory) => file.startsWith(`${directory}/src/`)) &&
  !/\.test(\.fixture)?\.ts$/.test(file) &&
  !file.includes('/testing/');
const files = [...graph.keys()].filter(isSource);
const texts = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));
const lengths = [...texts.values()].map((text) => text.split('\n').length - 1).sort((a, b) => a - b);
const directories = directoryGraph(graph);
const rings = ringsOf(directories);
const packageOf = (path: string): string => path.split('/').slice(0, 2).join('/');

/** Returns how many names are exported, and how many of them one other file imports. */
function exportedNames(): { readonly names: number; readonly withOneImporter: number } {
  const importers = new Map<string, number>();
  for (const text of texts.values())
    for (const [, named = ''] of text.matchAll(/^import (?:type )?\{([^}]*)\} from/gm))
      for (const name of named.split(',').map(
        (each) =>
          each
            .trim()
            .replace(/^type /, '')
            .split(' as ')[0] ?? '',
      ))
        if (name !== '') importers.set(name, (importers.get(name) ?? 0) + 1);
  const names = [...texts.values()].flatMap((text) =>
    [...text.matchAll(/^export (?:async |abstract )?(?:const|function\*?|class|type|interface) (\w+)/gm)].map(
      ([, name = '']) => name,
    ),
  );
  return { names: names.length, withOneImporter: names.filter((name) => importers.get(name) === 1).length };
}

const { names, withOneImporter } = exportedNames();
const counts = {
  packages: packageDirectories.length,
  'imports between packages': Object.values(imports).flat().length,
  'files without tests': files.length,
  'median of lines': lengths[Math.floor(lengths.length / 2)] ?? 0,
  'files below 40 lines': lengths.filter((lines) => lines < 40).length,
  'files of 80 to 400 lines': lengths.filter((lines) => lines >= 80 && lines <= 400).length,
  'longest file, lines': lengths.at(-1) ?? 0,
  directories: directories.size,
  'directories in rings': rings.flat().length,
  'exported names': names,
  'exported names that one file imports': withOneImporter,
};

if (format === 'json') console.log(JSON.stringify({ ...counts, rings }, null, 2));
else {
  for (const [what, count] of Object.entries(counts)) console.log(`${what.padEnd(38)}${count}`);
  for (const ring of rings) console.log(`ring in ${packageOf(ring[0] ?? '')}: ${ring.length} directories`);
  if (printsRings) for (const ring of rings) printRing(ring);
}

function printRing(ring: readonly string[]): void {
  console.log();
  for (const { from, to, imports } of importsWithin(ring, graph)) {
    console.log(`  ${from} → ${to.split('/').at(-1)}: ${imports.length}`);
    for (const { file, imported } of imports)
      console.log(`    ${file.slice(from.length + 1)} imports ${imported.slice(to.length + 1)}`);
  }
}
