import { Directory, hasCode, type Syscalls, UnsafePathError } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { OciMount } from '../request/oci-spec.js';
import { contains } from '../paths/clean-path.js';
import { quotedPath } from '../quoted.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    readonly resolveDestinations: (args: {
      readonly root: string;
      readonly mounts: readonly OciMount[];
      /** Paths in the root, each of which is resolved as the destination of a container's only mount. */
      readonly places: readonly string[];
    }) => Destinations;
  }
}

/** Mounts and paths without symbolic links of the container's root, in the order of the request. */
interface Destinations {
  readonly mounts: readonly OciMount[];
  readonly places: readonly string[];
}

/** MAXSYMLINKS of the kernel. */
const maxLinks = 40;

/**
 * Returns mounts whose destinations contain no symbolic link of the container's root, in the order of the request:
 * links are resolved here, within the root, and the OCI runtime follows none. Destinations below an earlier mount are
 * not resolved further: a link there does not belong to the root.
 *
 * @param mounts with clean destinations.
 * @param root the container's root, which must not change meanwhile.
 */
export function resolveDestinations(
  mounts: readonly OciMount[],
  root: string,
  syscalls: Syscalls,
): readonly OciMount[] {
  const directory = Directory.open(syscalls, root);
  try {
    const links = new RootLinks(directory);
    const resolved: OciMount[] = [];
    for (const mount of mounts) {
      const isMounted = (path: string): boolean =>
        resolved.some(({ destination }) => contains(destination, path));
      resolved.push({ ...mount, destination: resolve(mount.destination, links, isMounted) });
    }
    return resolved;
  } finally {
    directory.close();
  }
}

/** Returns a path of the root without its symbolic links: where a mount at it would be. */
export function resolvePlace(path: string, root: string, syscalls: Syscalls): string {
  const [mount] = resolveDestinations([{ destination: path }], root, syscalls);
  return mount?.destination ?? path;
}

function resolve(path: string, links: RootLinks, isMounted: (path: string) => boolean): string {
  const rest = namesOf(path);
  let done: string[] = [];
  let followed = 0;
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    if (name === '..') {
      done.pop();
      continue;
    }
    done.push(name);
    const target = isMounted(`/${done.join('/')}`) ? undefined : links.target(done.join('/'));
    if (target === undefined) continue;
    followed += 1;
    if (followed > maxLinks)
      throw new GuestError('invalid', `mount at ${quotedPath(path)}: too many symbolic links in the root`);
    done = target.startsWith('/') ? [] : done.slice(0, -1);
    rest.unshift(...namesOf(target));
  }
  if (done.length > 0) return `/${done.join('/')}`;
  throw new GuestError('refused', `mount at ${quotedPath(path)}: it is a link to the root of the container`);
}

/** A cache of a root's symbolic links. */
class RootLinks {
  readonly #root: Directory;
  readonly #targets: Map<string, string | undefined> = new Map();

  constructor(root: Directory) {
    this.#root = root;
  }

  /** Returns undefined if the path does not exist or is not a link. Only its last component may be a link. */
  target(path: string): string | undefined {
    if (!this.#targets.has(path)) this.#targets.set(path, this.#read(path));
    return this.#targets.get(path);
  }

  #read(path: string): string | undefined {
    try {
      return this.#root.stat(path)?.isSymbolicLink() === true ? this.#root.readLink(path) : undefined;
    } catch (error) {
      if (hasCode(error, 'ENOTDIR')) return undefined;
      if (error instanceof UnsafePathError)
        throw new GuestError(
          'precondition',
          `the root changes while links in it are resolved: ${error.message}`,
          {
            cause: error,
          },
        );
      throw error;
    }
  }
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}
