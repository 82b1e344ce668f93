import type { TestReport } from './reporter.js';

/** A run in which more files fail has a cause of its own. */
const maxFiles = 3;

/**
 * Returns which test files of a failed run are worth a second run, alone: on a loaded machine a test can fail by its neighbours.
 * Undefined if the run must count: too many files have failed, or a failure cannot be traced to a file.
 *
 * @param files compiled files, relative to the repository.
 */
export function repeatedFiles(report: TestReport, files: readonly string[]): readonly string[] | undefined {
  const bySource = new Map(files.map((file) => [sourceOf(file), file]));
  const failed = new Set(report.failures.map(({ file }) => bySource.get(sourceOf(file))));
  if (failed.size === 0 || failed.size > maxFiles) return undefined;
  const found = [...failed].filter((file) => file !== undefined);
  return found.length === failed.size ? found : undefined;
}

/** Reporters name the source where they have its map, and the compiled file elsewhere. */
function sourceOf(path: string): string {
  return path.replace(/(^|\/)(src|dist)\//, '$1').replace(/\.[jt]s$/, '');
}
