/** Returns the message of a thrown value. Never throws, whatever the value is. */
export function describeError(error: unknown): string {
  if (typeof error === 'string') return error;
  if (error instanceof Error && typeof error.message === 'string') return error.message;
  return `a value of type ${typeof error} was thrown, not an Error`;
}
