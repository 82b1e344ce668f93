/** What a thrown value says. Never throws itself, whatever the value is. */
export function describeError(error: unknown): string {
  if (typeof error === 'string') return error;
  if (error instanceof Error && typeof error.message === 'string') return error.message;
  return `a ${typeof error} that is no Error was thrown`;
}
