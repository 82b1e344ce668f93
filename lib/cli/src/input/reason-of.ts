/** Returns the text for a system error about a file. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return reasons.get((error as NodeJS.ErrnoException).code ?? '') ?? error.message;
}

const reasons: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'no such file'],
  ['ENOTDIR', 'no such file: a parent in the path is not a directory'],
  ['EISDIR', 'it is a directory'],
  ['EACCES', 'permission denied'],
  ['ENOSPC', 'no space left on device'],
  ['EROFS', 'read-only file system'],
]);
