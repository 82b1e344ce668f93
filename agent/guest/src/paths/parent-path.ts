/** Returns the directory above a path that is relative to a base; empty: the base. */
export function parentPath(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}
