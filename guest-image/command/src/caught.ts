// Code and message of a caught value, which can be of any type.

/** Returns the error's code, such as the `ENOENT` of Node.js's system errors, or undefined. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

/** Returns the error's message, or the value as a string if it is not an Error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
