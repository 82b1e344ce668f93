import { join } from 'node:path';
import type { Storage } from '../actions.js';
import type { OciSpec } from '../oci-spec.js';
import { contains } from '../source/clean-path.js';
import { isBind } from '../spec/mounts.js';
import type { ContainerPlaces } from './held-places.js';

/** What a request for a container asks for, as far as its places depend on it. */
interface Requested {
  readonly id: string;
  readonly spec: OciSpec;
  readonly storages: readonly Storage[];
}

/**
 * All that a container is made of, by its request: what it names, and what the storages are made of that it names. Pure. Paths
 * that will be refused may be among them.
 *
 * @param inPlace the storages that are mounted already.
 * @param kata Kata's directory.
 */
export function placesOf(
  { id, spec, storages }: Requested,
  inPlace: readonly Storage[],
  kata: string,
): ContainerPlaces {
  const all = [...storages, ...inPlace];
  const own = join(kata, id, 'rootfs');
  const root = storages.some(({ mountPoint }) => cleaned(mountPoint) === own) ? own : (spec.root?.path ?? '');
  const binds = (spec.mounts ?? []).filter(isBind).map(({ source = '' }) => source);
  return {
    roots: madeOf([root], all),
    sources: madeOf([...binds, ...storages.flatMap(sourcesOf)], all),
  };
}

/** These paths, and those that storages at, above and below them are made of, and so on. */
function madeOf(paths: readonly string[], storages: readonly Storage[]): readonly string[] {
  const found = new Set<string>();
  const left = paths.filter((path) => path.startsWith('/')).map(cleaned);
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    if (found.has(path)) continue;
    const place = path;
    found.add(place);
    const there = storages.filter(({ mountPoint }) => {
      const point = cleaned(mountPoint);
      return contains(point, place) || contains(place, point);
    });
    left.push(...there.flatMap(sourcesOf).map(cleaned));
  }
  return [...found];
}

/** The absolute paths that a storage names: its source, layers of an overlay in its options. */
function sourcesOf({ source, options, driverOptions }: Storage): readonly string[] {
  const words = [...options, ...driverOptions].flatMap((option) => option.split(/[=:,]/));
  return [source, ...words].filter((word) => word.startsWith('/'));
}

function cleaned(path: string): string {
  return `/${path
    .split('/')
    .filter((name) => name !== '' && name !== '.')
    .join('/')}`;
}
