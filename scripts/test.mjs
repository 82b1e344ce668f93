// `npm test [FILTER…]`: sets up, then runs every compiled test, or those whose path contains a filter.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { bootstrap, root } from './bootstrap.mjs';

/** Compiled test files below a folder, in order. */
function testFiles(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.js'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .filter((path) => !path.includes('node_modules'))
    .sort();
}

const missing = bootstrap('test');
if (missing.length > 0) {
  const text = `missing Debian packages: ${missing.join(', ')} (as root: apt-get install ${missing.join(' ')})`;
  if (process.env.CI === 'true') {
    console.error(`${text}: with CI=true this is a failure`);
    process.exit(1);
  }
  console.error(`${text}: the tests that need them are skipped`);
}
const filters = process.argv.slice(2);
const packages = readdirSync(join(root, 'packages')).map((name) => join(root, 'packages', name, 'dist'));
const files = [...packages, join(root, 'tests', 'dist'), join(root, 'fuzz', 'dist')]
  .flatMap(testFiles)
  .filter((path) => filters.length === 0 || filters.some((filter) => relative(root, path).includes(filter)));
if (files.length === 0) {
  console.error(`no test file matches ${filters.join(' ')}`);
  process.exit(2);
}
/** Whatever waits for longer waits for ever. No test is judged by it. */
const hangsMs = 20 * 60_000;

const result = spawnSync(
  process.execPath,
  ['--enable-source-maps', '--test', '--test-concurrency=2', `--test-timeout=${hangsMs}`, ...files],
  {
    cwd: root,
    stdio: 'inherit',
  },
);
process.exit(result.status ?? 1);
