// `npm run coverage`: runs the unit tests of the packages that decide (gate, config, audit, ttrpc) under c8, prints the
// table, and fails below 95 % of lines or branches. Each package must reach the goal by itself.
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrap, root } from './bootstrap.mjs';

const goal = 95;
const packages = ['gate', 'config', 'audit', 'ttrpc'];

/** Compiled unit tests of a package, in any folder of it. */
function unitTests(name) {
  return readdirSync(join(root, 'packages', name, 'dist'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.js'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
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
      '--exclude=**/*.test.ts',
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
      '--test-reporter=dot',
      ...unitTests(name),
    ],
    { cwd: root, stdio: 'inherit' },
  );
  failed += result.status === 0 ? 0 : 1;
}
process.exit(failed === 0 ? 0 : 1);
