import { join } from 'node:path';
import type { Storage } from '../request/actions.js';
import type { OciSpec } from '../request/oci-spec.js';
import { contains } from '../paths/clean-path.js';
import { bindLocalVolumes } from '../storage/local-volumes.js';
import { isBind } from '../spec/mounts.js';
import type { ReservedPaths } from './path-reservations.js';

/** The parts of a create request that determine the container's places. */
interface Requested {
  readonly id: string;
  readonly spec: OciSpec;
  readonly storages: readonly Storage[];
}

/**
 * Returns the sources of a container from its request: the paths that it names, and the sources of storages among
 * these. Pure. May include paths that will be refused.
 *
 * @param inPlace the storages that are mounted already.
 * @param kata Kata's directory.
 */
export function reservedPathsOf(
  { id, spec, storages }: Requested,
  inPlace: readonly Storage[],
  kata: string,
): ReservedPaths {
  const all = [...storages, ...inPlace];
  const own = join(kata, id, 'rootfs');
  const root = storages.some(({ mountPoint }) => cleaned(mountPoint) === own) ? own : (spec.root?.path ?? '');
  // An emptyDir of the Go runtime becomes a bind mount, with its type `local` alone too.
  const { mounts = [] } = bindLocalVolumes(spec, storages);
  const binds = mounts.filter(isBind).map(({ source = '' }) => source);
  return {
    roots: madeOf([root], all),
    sources: madeOf([...binds, ...storages.flatMap(sourcesOf)], all),
  };
}

/** Returns these paths with the sources of storages at, above and below them, transitively. */
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

/** Returns the absolute paths that a storage names: its source, and overlay layers in its options. */
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
