import { contains } from '../paths/clean-path.js';
import type { UsedSource } from '../source/other-containers.js';

/**
 * Returns a source and, if it is in a storage, the corresponding path in each source of that storage. Pure.
 *
 * @param kata Kata's directory.
 * @param sourcesAt the sources of the storage with this mount point, a path below Kata's directory; none: there is no
 * storage.
 */
export function throughStorages(
  source: UsedSource,
  kata: string,
  sourcesAt: (place: string) => readonly UsedSource[],
): readonly UsedSource[] {
  if (!contains(kata, source.path)) return [source];
  const names = source.path.slice(kata.length + 1).split('/');
  const shown = names.flatMap((_, index) => {
    const rest = names.slice(index + 1).map((name) => `/${name}`);
    return sourcesAt(names.slice(0, index + 1).join('/')).map(({ path, use, isDirectory }) => ({
      path: path + rest.join(''),
      use: use === 'volume' ? source.use : use,
      isDirectory: rest.length === 0 ? isDirectory : source.isDirectory,
    }));
  });
  return [source, ...shown];
}
