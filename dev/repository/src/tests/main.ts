// `npm test [-- [--times] [--all | FILTER…]]`: runs the compiled test files but the slow ones, with --all or CI=true every one, or those whose
// path contains a filter; with the OCI runtime of OCI_RUNTIME. With --times also prints the time of each file.
// `npm test -- --changed [--all] [BASE]`: runs those that a change reaches.
// With CI=true up to three files that fail are run once more, alone, and those that pass then are named as unstable.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missingText, root } from '@kata-agent/setup/bootstrap';
import { missingOf } from '@kata-agent/setup/prerequisites';
import { packageDirectories } from '@kata-agent/setup/products';
import { withPureCgroups } from '@kata-agent/setup/pure-cgroups';
import {
  changeSince,
  packageEntries,
  reachedLines,
  reachedTests,
  readSources,
  sourceOf,
} from './changed-tests.js';
import { readReport, reportFile } from './report-file.js';
import { repeatedFiles } from './repeated-files.js';
import { failedLines, leftOutLines, skippedLines, timeLines, unstableLines } from './report-lines.js';
import type { TestReport } from './reporter.js';
import { isSlow } from './slow-files.js';
import { withSharedProcesses } from './shared-processes.js';

/** Returns the compiled test files below a directory, sorted. One whose source was moved or removed is left in `dist` by the compiler. */
function testFiles(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.js'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .filter(
      (path) => !path.includes('node_modules') && existsSync(join(root, sourceOf(relative(root, path)))),
    )
    .sort();
}

const isCi = process.env['CI'] === 'true';
const missing = missingOf('test');
if (missing.length > 0) {
  const needed = missing.filter(({ unavailable }) => unavailable === undefined);
  if (needed.length > 0) console.error(missingText(needed));
  for (const { name, neededBy, unavailable } of missing)
    console.error(
      `  skipped without ${name}: ${neededBy}${unavailable === undefined ? '' : `: ${unavailable}`}`,
    );
  if (isCi && needed.length > 0) {
    console.error('with CI=true a missing prerequisite is an error');
    process.exit(1);
  }
}
const usage = 'npm test -- [--times] [--all | FILTER…], or npm test -- [--times] --changed [--all] [BASE]';
const words = process.argv.slice(2);
const printsTimes = words.includes('--times');
const ofChange = words.includes('--changed');
const all = words.includes('--all');
const filters = words.filter((word) => !['--times', '--changed', '--all'].includes(word));
const unknown = filters.find((word) => word.startsWith('-'));
if (unknown !== undefined || (all && !ofChange && filters.length > 0) || (ofChange && filters.length > 1)) {
  console.error(
    `npm test: ${unknown === undefined ? 'too many words' : `unknown option ${unknown}`}\nhelp: ${usage}`,
  );
  process.exit(2);
}
const packages = packageDirectories.map((directory) => join(root, directory, 'dist'));
const compiled = [...packages, join(root, 'tests', 'dist'), join(root, 'fuzz', 'dist')].flatMap(testFiles);
const files = ofChange ? changed(filters[0]) : chosen();
if (files.length === 0) {
  console.error(ofChange ? 'no test to run' : `no test file matches ${filters.join(' ')}`);
  process.exit(ofChange ? 0 : 2);
}

/** Returns the compiled test files that the filters name; without any all, or those that are not slow. */
function chosen(): readonly string[] {
  if (filters.length > 0)
    return compiled.filter((path) => filters.some((filter) => relative(root, path).includes(filter)));
  return all || isCi ? compiled : compiled.filter((path) => !isSlow(sourceOf(relative(root, path))));
}

/** Returns the compiled test files that the change since a commit reaches, and prints which. */
function changed(base: string | undefined): readonly string[] {
  const change = changeSince(base);
  const reached = reachedTests(readSources(), packageEntries(), change.files, all);
  print(reachedLines(change, reached));
  const chosen = new Set(reached.chosen);
  return compiled.filter((path) => chosen.has(sourceOf(relative(root, path))));
}

const program = fileURLToPath(new URL('run-files.js', import.meta.url));
mkdirSync(dirname(reportFile), { recursive: true });

interface TestRun {
  readonly exitCode: number;
  /** Undefined if the run did not finish. */
  readonly report: TestReport | undefined;
}

function runTests(run: readonly string[], concurrency: number): TestRun {
  rmSync(reportFile, { force: true });
  const tests = [process.execPath, '--enable-source-maps', program, String(concurrency), ...run];
  const [first = '', ...more] = process.env['OCI_RUNTIME'] === 'crun' ? withPureCgroups(tests) : tests;
  const { status } = spawnSync(first, more, { cwd: root, stdio: 'inherit' });
  return { exitCode: status ?? 1, report: readReport(reportFile) };
}

function needsVm(file: string): boolean {
  return file.startsWith(join(root, 'tests', 'dist', 'vm'));
}

function print(lines: readonly string[]): void {
  for (const line of lines) console.error(line);
}

// Tests of virtual machines take longest: last, one of them would run alone at the end.
const inOrder = [...files.filter(needsVm), ...files.filter((file) => !needsVm(file))];
const entries = mkdtempSync(join(dirname(reportFile), 'test-processes-'));
// The agent runs the program that pulls images as another user.
chmodSync(entries, 0o755);
process.on('exit', () => rmSync(entries, { recursive: true, force: true }));
if (files.some((file) => file.startsWith(join(root, 'tests')))) {
  // A run of unit tests does not wait until the bundler is loaded.
  const { bundleTestPrograms } = await import('./test-programs.js');
  await bundleTestPrograms(join(entries, 'programs'));
}
const first = runTests(
  withSharedProcesses(
    inOrder.map((file) => relative(root, file)),
    entries,
  ),
  2,
);
const leftOut = ofChange || filters.length > 0 ? 0 : compiled.length - files.length;
if (first.report !== undefined)
  print([
    ...(printsTimes ? timeLines(first.report) : []),
    ...leftOutLines(leftOut),
    ...skippedLines(first.report),
    ...failedLines(first.report),
  ]);
const repeated =
  isCi && first.exitCode !== 0 && first.report !== undefined
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
