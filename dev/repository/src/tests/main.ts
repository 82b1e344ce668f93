// `npm test [-- --times] [FILTER…]`: runs every compiled test file, or those whose path contains a filter; with the OCI runtime of
// OCI_RUNTIME. With --times also prints the time of each file.
// With CI=true up to three files that fail are run once more, alone, and those that pass then are named as unstable.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missingText, root } from '@kata-agent/setup/bootstrap';
import { missingOf } from '@kata-agent/setup/prerequisites';
import { packageDirectories } from '@kata-agent/setup/products';
import { withPureCgroups } from '@kata-agent/setup/pure-cgroups';
import { readReport, reportFile } from './report-file.js';
import { repeatedFiles } from './repeated-files.js';
import { failedLines, skippedLines, timeLines, unstableLines } from './report-lines.js';
import type { TestReport } from './reporter.js';

/** Returns the compiled test files below a directory, sorted. */
function testFiles(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.js'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .filter((path) => !path.includes('node_modules'))
    .sort();
}

const missing = missingOf('test');
if (missing.length > 0) {
  const needed = missing.filter(({ unavailable }) => unavailable === undefined);
  if (needed.length > 0) console.error(missingText(needed));
  for (const { name, neededBy, unavailable } of missing)
    console.error(
      `  skipped without ${name}: ${neededBy}${unavailable === undefined ? '' : `: ${unavailable}`}`,
    );
  if (process.env['CI'] === 'true' && needed.length > 0) {
    console.error('with CI=true a missing prerequisite is an error');
    process.exit(1);
  }
}
const words = process.argv.slice(2);
const printsTimes = words.includes('--times');
const filters = words.filter((word) => word !== '--times');
const unknown = filters.find((word) => word.startsWith('-'));
if (unknown !== undefined) {
  console.error(`npm test: unknown option ${unknown}\nhelp: npm test -- [--times] [FILTER…]`);
  process.exit(2);
}
const packages = packageDirectories.map((directory) => join(root, directory, 'dist'));
const files = [...packages, join(root, 'tests', 'dist'), join(root, 'fuzz', 'dist')]
  .flatMap(testFiles)
  .filter((path) => filters.length === 0 || filters.some((filter) => relative(root, path).includes(filter)));
if (files.length === 0) {
  console.error(`no test file matches ${filters.join(' ')}`);
  process.exit(2);
}
/** The time limit of a test. It does not measure speed: a test that takes this long hangs. */
const timeoutMs = 20 * 60_000;

const reporter = fileURLToPath(new URL('reporter.js', import.meta.url));
mkdirSync(dirname(reportFile), { recursive: true });

interface TestRun {
  readonly exitCode: number;
  /** Undefined if the run did not finish. */
  readonly report: TestReport | undefined;
}

function runTests(run: readonly string[], concurrency: number): TestRun {
  rmSync(reportFile, { force: true });
  const tests = [
    [process.execPath, '--enable-source-maps', '--test'],
    [`--test-concurrency=${concurrency}`, `--test-timeout=${timeoutMs}`],
    // The same choice as the default of Node.js, which does not apply with two reporters.
    [`--test-reporter=${process.stdout.isTTY ? 'spec' : 'tap'}`, '--test-reporter-destination=stdout'],
    [`--test-reporter=${reporter}`, `--test-reporter-destination=${reportFile}`],
    run,
  ].flat();
  const [program = '', ...command] = process.env['OCI_RUNTIME'] === 'crun' ? withPureCgroups(tests) : tests;
  const { status } = spawnSync(program, command, { cwd: root, stdio: 'inherit' });
  return { exitCode: status ?? 1, report: readReport(reportFile) };
}

function print(lines: readonly string[]): void {
  for (const line of lines) console.error(line);
}

const first = runTests(files, 2);
if (first.report !== undefined)
  print([
    ...(printsTimes ? timeLines(first.report) : []),
    ...skippedLines(first.report),
    ...failedLines(first.report),
  ]);
const repeated =
  process.env['CI'] === 'true' && first.exitCode !== 0 && first.report !== undefined
    ? repeatedFiles(
        first.report,
        files.map((file) => relative(root, file)),
      )
    : undefined;
if (first.report === undefined || repeated === undefined) process.exit(first.exitCode);
console.error(`• once more, alone: ${repeated.join(' ')}`);
const second = runTests(
  repeated.map((file) => join(root, file)),
  1,
);
if (second.report !== undefined) print(failedLines(second.report));
if (second.exitCode === 0) print(unstableLines(first.report));
process.exit(second.exitCode);
