/**
 * Reasons to deny a request: checks by name, in the order in which they run. Each check takes data, has no side effects,
 * and throws a GuestError.
 */
export type OrderedChecks<Subject> = Readonly<Record<string, (subject: Subject) => void>>;

/** Throws the error of the first check that fails. */
export function runChecks<Subject>(checks: OrderedChecks<Subject>, subject: Subject): void {
  for (const check of Object.values(checks)) check(subject);
}
