// `npm test [FILTER…]`: sets up, then runs every compiled test, or those whose path contains a filter.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { bootstrap, missingText, root } from './bootstrap.mjs';

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
  const needed = missing.filter(({ lacks }) => lacks === undefined);
  if (needed.length > 0) console.error(missingText(needed));
  for (const { name, costs, lacks } of missing)
    console.error(`  without ${name}: no ${costs}${lacks === undefined ? '' : `: ${lacks}`}`);
  if (process.env.CI === 'true' && needed.length > 0) {
    console.error('with CI=true this is a failure');
    process.exit(1);
  }
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

/** What scripts/test-reporter.mjs makes of the run. */
const report = join(root, 'build', 'test-report.json');
mkdirSync(join(root, 'build'), { recursive: true });
rmSync(report, { force: true });

const result = spawnSync(
  process.execPath,
  [
    ['--enable-source-maps', '--test', '--test-concurrency=2', `--test-timeout=${hangsMs}`],
    // As Node.js chooses by itself where only one reporter is asked for.
    [`--test-reporter=${process.stdout.isTTY ? 'spec' : 'tap'}`, '--test-reporter-destination=stdout'],
    [
      `--test-reporter=${join(root, 'scripts', 'test-reporter.mjs')}`,
      `--test-reporter-destination=${report}`,
    ],
    files,
  ].flat(),
  { cwd: root, stdio: 'inherit' },
);
if (existsSync(report)) {
  const { skipped } = JSON.parse(readFileSync(report, 'utf8'));
  if (skipped.length > 0) console.error(`skipped: ${skipped.length}`);
  for (const { file, name, reason } of skipped) console.error(`  ${file}: ${name}: ${reason}`);
}
process.exit(result.status ?? 1);
