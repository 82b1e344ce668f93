// `npm run coverage [-- PACKAGE…]`: runs the unit tests of the packages that decide (gate, config, audit, ttrpc) under c8, prints the
// table, and fails below 95 % of lines or branches. Each package must reach the goal by itself.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { bootstrap, root } from './bootstrap.mjs';

const goal = 95;
const decisive = ['gate', 'config', 'audit', 'ttrpc'];
const asked = process.argv.slice(2);
const packages = asked.length === 0 ? decisive : decisive.filter((name) => asked.includes(name));

/** Compiled files of a package with one ending, in any folder of it. */
function compiled(name, ending) {
  return readdirSync(join(root, 'packages', name, 'dist'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/** Sources that hold types alone: nothing of them is left to be run. */
function typesOnly(name) {
  const dist = join(root, 'packages', name, 'dist');
  return compiled(name, '.js')
    .filter((path) => /^\s*(export \{\};\s*)?(\/\/.*\s*)*$/.test(readFileSync(path, 'utf8')))
    .map((path) => `packages/${name}/src/${relative(dist, path).replace(/\.js$/, '.ts')}`);
}

bootstrap('demo');
let failed = 0;
for (const name of packages) {
  const folder = join(root, 'coverage', name);
  rmSync(folder, { recursive: true, force: true });
  console.log(`\n${name}`);
  const result = spawnSync(
    join(root, 'node_modules', '.bin', 'c8'),
    [
      '--all',
      `--src=packages/${name}/src`,
      `--include=packages/${name}/src/**/*.ts`,
      ...['**/*.test.ts', '**/*.test.fixture.ts', '**/*.d.ts', '**/testing/**', ...typesOnly(name)].map(
        (it) => `--exclude=${it}`,
      ),
      '--exclude-after-remap',
      '--reporter=text',
      '--reporter=json-summary',
      `--reports-dir=${folder}`,
      `--temp-directory=${join(folder, 'tmp')}`,
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
      ...compiled(name, '.test.js'),
    ],
    { cwd: root, stdio: 'inherit' },
  );
  failed += result.status === 0 ? 0 : 1;
}
process.exit(failed === 0 ? 0 : 1);
