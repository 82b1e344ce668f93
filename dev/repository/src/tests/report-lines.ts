// The lines that a test run ends with. Continuous integration shows only the tail of the output, so failures
// come last.
import type { TestReport } from './reporter.js';

/** A release of Node.js under which the tests failed. */
export interface FailedRelease {
  readonly release: string;
  /** Undefined if the test run wrote none. */
  readonly report: TestReport | undefined;
}

const noReport = 'no test report: the run did not finish, see the output above';
const noFailure = 'no test failed, but the exit code is not 0: see the output above';

/** Returns the number of skipped tests and a line with the reason for each; nothing if there are none. */
export function skippedLines({ skipped }: TestReport): readonly string[] {
  return counted(
    'skipped',
    skipped.map(({ file, name, reason }) => `${file}: ${name}: ${reason}`),
  );
}

/** Returns what was left out, and how it is run; nothing if nothing was. */
export function leftOutLines(files: number): readonly string[] {
  return files === 0
    ? []
    : [
        `left out: ${files} slow files, such as those of virtual machines; npm test -- --all runs them, and CI=true`,
      ];
}

/**
 * Returns the number of failed tests and a line with the first line of the message for each; nothing if there
 * are none.
 */
export function failedLines(report: TestReport): readonly string[] {
  return counted('failed', failuresOf(report));
}

/** The same for tests that failed, and passed when their file ran alone. */
export function unstableLines(report: TestReport): readonly string[] {
  return counted('unstable: failed among others, passed alone', failuresOf(report));
}

/** Returns a line for each file, those that took longest first, with what part of all they and those before took. */
export function timeLines({ times }: TestReport): readonly string[] {
  const all = times.reduce((sum, { ms }) => sum + ms, 0);
  let before = 0;
  return times.map(({ file, tests, ms }) => {
    before += ms;
    const part = all === 0 ? 100 : Math.round((before / all) * 100);
    return `${(ms / 1_000).toFixed(1).padStart(8)} s  ${String(part).padStart(3)} %  ${file} (${tests})`;
  });
}

/** Returns a line for each failed test of each release, or one that says why no test is named. */
export function failedReleaseLines(failed: readonly FailedRelease[]): readonly string[] {
  return failed.flatMap(({ release, report }) => {
    const failures = report === undefined ? [noReport] : failuresOf(report);
    return (failures.length === 0 ? [noFailure] : failures).map(
      (failure) => `failed with Node.js ${release}: ${failure}`,
    );
  });
}

function failuresOf({ failures }: TestReport): readonly string[] {
  return failures.map(({ file, name, message }) => `${file}: ${name}: ${message}`);
}

function counted(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [`${title}: ${lines.length}`, ...lines.map((line) => `  ${line}`)];
}
