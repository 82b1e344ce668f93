import { defaultDirectories } from '@kata-agent/catalogue';
import type { ImageProgram } from '@kata-agent/catalogue';

/** A mount that replaces a part of a program. */
export interface Cover {
  /** As in the request. */
  readonly mount: string;
  readonly file: string;
}

/**
 * Returns each mount, device or masked path of a request that replaces a part of its program: at a file of it or at a
 * parent of one, or at, above or below a directory with libraries.
 *
 * @param destinations of the request's mounts, as written.
 * @param named destinations that are allowed to.
 */
export function coversOf(
  program: ImageProgram,
  destinations: readonly string[],
  named: readonly string[],
): readonly Cover[] {
  const allowed = new Set(named.map(withoutSlash));
  const covers = [
    ...program.mounts.map((path, index) => ({ path, mount: destinations[index] ?? path })),
    ...program.replaced.map((path) => ({ path, mount: path })),
  ];
  return covers.flatMap(({ path, mount }) => {
    if (allowed.has(withoutSlash(mount))) return [];
    const file =
      program.files.find((each) => isAtOrBelow(each, path)) ??
      program.directories.find((each) => isAtOrBelow(each, path) || isLibraryOf(each, path));
    return file === undefined ? [] : [{ mount, file }];
  });
}

/** In the root as the working directory, no linker searches the directories that each system has. */
function isLibraryOf(directory: string, path: string): boolean {
  if (directory === '/' && defaultDirectories.has(path.split('/')[1] ?? '')) return false;
  return isAtOrBelow(path, directory);
}

function isAtOrBelow(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`);
}

function withoutSlash(path: string): string {
  return path.replace(/(?<=.)\/+$/, '');
}
