import { readFileSync } from 'node:fs';

/** Returns the bytes of a file; undefined: there is none, nor a directory of it, or in procfs no such process. Throws the system's other errors. */
export function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

const missing: readonly unknown[] = ['ENOENT', 'ENOTDIR', 'ESRCH'];

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && missing.includes(error.code);
}
