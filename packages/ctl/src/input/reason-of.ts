/** What the system says of a file, in words. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return reasons.get((error as NodeJS.ErrnoException).code ?? '') ?? error.message;
}

const reasons: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'there is no such file'],
  ['ENOTDIR', 'there is no such file: what stands before the last / is no folder'],
  ['EISDIR', 'it is a folder'],
  ['EACCES', 'this user may not read it'],
  ['ENOSPC', 'there is no space left'],
  ['EROFS', 'the filesystem is read-only'],
]);
