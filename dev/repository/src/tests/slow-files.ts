// Which test files does `npm test` leave out where nobody has chosen any? Those of virtual machines, which take minutes without KVM, and
// others that take more than ten seconds of two processors. CI=true runs them, `--all`, and a filter that names them.

/** Source files, slowest first: `CI=true npm test -- --times` (2026-12-01). */
export const slowFiles: readonly string[] = [];

const slow: ReadonlySet<string> = new Set(slowFiles);

/** Whether a test file is slow. @param source relative to the repository */
export function isSlow(source: string): boolean {
  return source.startsWith('tests/vm/') || slow.has(source);
}
