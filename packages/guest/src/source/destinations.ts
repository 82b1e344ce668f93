import { Directory, hasCode, type Syscalls, UnsafePathError } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { OciMount } from '../oci-spec.js';
import { contains, quoted } from './clean-path.js';

/** As the kernel has it for a path (MAXSYMLINKS). */
const mostLinks = 40;

/**
 * Mounts with destinations that hold no link of the container's root, in the order of the request: links of the root are
 * followed here, within the root, and the OCI runtime follows none. What lies in an earlier mount is not looked at: a link
 * there is not the root's.
 *
 * @param mounts with clean destinations.
 * @param root the container's root, which nobody changes meanwhile.
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
    if (followed > mostLinks)
      throw new GuestError('invalid', `mount at ${quoted(path)}: too many symbolic links in the root`);
    done = target.startsWith('/') ? [] : done.slice(0, -1);
    rest.unshift(...namesOf(target));
  }
  if (done.length > 0) return `/${done.join('/')}`;
  throw new GuestError('refused', `mount at ${quoted(path)}: it is a link to the root of the container`);
}

/** The symbolic links of a root, each read once. */
class RootLinks {
  readonly #root: Directory;
  readonly #targets: Map<string, string | undefined> = new Map();

  constructor(root: Directory) {
    this.#root = root;
  }

  /** Undefined: nothing is there, or something else. No part of the path before its last name is a link. */
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
        throw new GuestError('precondition', `the root changes while it is looked at: ${error.message}`, {
          cause: error,
        });
      throw error;
    }
  }
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}
