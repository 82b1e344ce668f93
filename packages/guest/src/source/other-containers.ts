import { GuestError } from '../guest-error.js';
import { contains, quoted } from './clean-path.js';

/** A container as far as its places are concerned. */
export interface PlaceOwner {
  readonly id: string;
  /** Clean paths of all that its root and its mounts were made of. */
  readonly sources: readonly string[];
}

/**
 * Refuses a container one of whose sources is another container's. Kata's runtimes put what belongs to one container below a
 * directory with its id (`shared/containers/ID/rootfs`, `ID/rootfs`, `shared/rafs/ID/lowerdir`), whatever is above it; but for
 * a pod's local volumes, which they make in the directory of its first container. Pure.
 *
 * @param made the container that is being made.
 * @param others the other containers of the sandbox.
 * @param podPlaces where storages of the whole pod are mounted.
 * @throws GuestError `refused`
 */
export function refuseOthersPlaces(
  made: PlaceOwner,
  others: readonly PlaceOwner[],
  podPlaces: readonly string[],
): void {
  const ofPod = (path: string): boolean => podPlaces.some((place) => contains(place, path));
  for (const path of made.sources) {
    const other = others.find(({ id }) => names(path).includes(id));
    if (other !== undefined && !ofPod(path))
      throw new GuestError('refused', `source ${quoted(path)} is a place of container ${other.id}`);
  }
  for (const other of others) {
    const path = other.sources.find((each) => names(each).includes(made.id) && !ofPod(each));
    if (path !== undefined)
      throw new GuestError(
        'refused',
        `container ${other.id} has a place of container ${made.id} already: ${quoted(path)}`,
      );
  }
}

function names(path: string): readonly string[] {
  return path.split('/');
}
