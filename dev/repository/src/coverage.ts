// `npm run coverage [-- PACKAGE…]`: runs the unit tests of the packages that authorize calls (gate, config,
// audit, ttrpc) under c8, and prints the coverage. Fails if a package has less than 95 % of its lines or
// branches covered.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';

const goal = 95;
const measured = ['gate', 'config', 'audit', 'ttrpc'];
const product = 'lib';
const requested = process.argv.slice(2);
const packages = requested.length === 0 ? measured : measured.filter((name) => requested.includes(name));

/** Returns the compiled files of a package whose names end with `ending`, sorted. */
function compiledFiles(name: string, ending: string): readonly string[] {
  return readdirSync(join(root, product, name, 'dist'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/** Returns the source files that contain only types, and so no code to cover. */
function typeOnlyFiles(name: string): readonly string[] {
  const dist = join(root, product, name, 'dist');
  return compiledFiles(name, '.js')
    .filter((path) => /^\s*(export \{\};\s*)?(\/\/.*\s*)*$/.test(readFileSync(path, 'utf8')))
    .map((path) => `${product}/${name}/src/${relative(dist, path).replace(/\.js$/, '.ts')}`);
}

let failed = 0;
for (const name of packages) {
  const directory = join(root, 'coverage', name);
  rmSync(directory, { recursive: true, force: true });
  console.log(`\n${name}`);
  const result = spawnSync(
    join(root, 'node_modules', '.bin', 'c8'),
    [
      '--all',
      `--src=${product}/${name}/src`,
      `--include=${product}/${name}/src/**/*.ts`,
      ...['**/*.test.ts', '**/*.test.fixture.ts', '**/*.d.ts', '**/testing/**', ...typeOnlyFiles(name)].map(
        (pattern) => `--exclude=${pattern}`,
      ),
      '--exclude-after-remap',
      '--reporter=text',
      '--reporter=json-summary',
      `--reports-dir=${directory}`,
      `--temp-directory=${join(directory, 'tmp')}`,
      '--check-coverage',
      `--lines=${goal}`,
      `--branches=${goal}`,
      '--functions=0',
      '--statements=0',
      process.execPath,
      '--enable-source-maps',
      '--test',
      '--test-timeout=300000',
      '--test-reporter=dot',
      ...compiledFiles(name, '.test.js'),
    ],
    { cwd: root, stdio: 'inherit' },
  );
  failed += result.status === 0 ? 0 : 1;
}
process.exit(failed === 0 ? 0 : 1);
