import { networkInterfaces } from 'node:os';
import { GuestError } from '../guest-error.js';
import type { HostMedia } from '../media/host-media.js';
import type { OciMount } from '../request/oci-spec.js';
import { type MemoryCopies, writeContent } from '../source/memory-copies.js';
import type { OpenSource } from '../source/open-source.js';
import { isBind } from '../spec/mounts.js';
import {
  canonicalAddress,
  checkedHosts,
  checkHostnameFile,
  checkResolvConf,
  maxContentBytes,
} from './believed-files.js';

/** Files of a container whose content the workload believes: each is checked, and mounted as a copy of what was checked. */
const contentChecks = {
  '/etc/hosts': async (
    bytes: Uint8Array,
    { hostname, aliases, addresses, own }: Believed,
  ): Promise<Uint8Array> => {
    const checked = checkedHosts(bytes, { hostname, aliases, addresses: await addresses() });
    for (const address of checked.ownAddresses) own.add(address);
    return checked.bytes;
  },
  '/etc/resolv.conf': (bytes: Uint8Array): Uint8Array => {
    checkResolvConf(bytes);
    return bytes;
  },
  '/etc/hostname': (bytes: Uint8Array, { hostname }: Believed): Uint8Array => {
    checkHostnameFile(bytes, hostname);
    return bytes;
  },
} as const;

type CheckedPath = keyof typeof contentChecks;
const checkedPaths: readonly CheckedPath[] = ['/etc/hosts', '/etc/resolv.conf', '/etc/hostname'];

/** What a pod's files may say. */
interface Believed {
  /** Of the sandbox. */
  readonly hostname: string;
  readonly aliases: ReadonlyMap<string, readonly string[]>;
  readonly addresses: () => Promise<ReadonlySet<string>>;
  /** Receives the addresses of the pod's own name. */
  readonly own: Set<string>;
}

interface Parts {
  readonly hostname: string;
  readonly aliases: HostAliases;
  /** Returns the addresses of the interfaces that the container has. */
  readonly addresses: () => Promise<ReadonlySet<string>>;
  readonly copies: MemoryCopies;
  readonly media: HostMedia;
}

/**
 * The mounts at /etc/hosts, /etc/resolv.conf and /etc/hostname of a container. Each is read once and checked, and the container gets a
 * copy of these bytes: what the host changes in its file afterwards does not reach the container.
 */
export class CheckedFiles {
  readonly #believed: Believed;
  readonly #copies: MemoryCopies;
  readonly #media: HostMedia;
  readonly #places: ReadonlyMap<OciMount, CheckedPath>;

  /**
   * @param mounts with clean destinations, and bind mounts as such
   * @param root of the container: its links may lead to one of the files, or from it elsewhere
   */
  static async find(parts: Parts, mounts: readonly OciMount[], root: string): Promise<CheckedFiles> {
    return new CheckedFiles(parts, await placesOf(mounts, root, parts.media));
  }

  private constructor(
    { hostname, aliases, addresses, copies, media }: Parts,
    places: ReadonlyMap<OciMount, CheckedPath>,
  ) {
    this.#believed = {
      hostname,
      aliases: new Map(Object.entries(aliases).map(([name, list]) => [name.toLowerCase(), list])),
      addresses,
      own: new Set(),
    };
    this.#copies = copies;
    this.#media = media;
    this.#places = places;
  }

  /** The addresses, without loopback's, that the files have for the pod's own name. */
  get ownAddresses(): readonly string[] {
    return [...this.#believed.own];
  }

  /** Returns a source, or the copy that replaces it; then the source is closed. `named`: for errors. */
  async replaced(source: OpenSource, mount: OciMount, named: string): Promise<OpenSource> {
    const path = this.#places.get(mount);
    // A path that the configuration lists is the guest's own file.
    if (path === undefined || source.kind === 'listed') return source;
    if (source.isDirectory || source.isDevice)
      throw new GuestError('refused', `${named} is not a regular file; help: mount a file at ${path}`);
    const content = await this.#media.run('readContent', { limit: maxContentBytes, named }, [
      source.descriptor.fd,
    ]);
    const bytes = Buffer.from(await contentChecks[path](content.bytes, this.#believed));
    const descriptor = await this.#copies.add('256k', (copy) => {
      writeContent(copy, 'file', { ...content, bytes });
      return Promise.resolve('file');
    });
    source.descriptor.close();
    return { ...source, descriptor };
  }
}

/** Returns the mounts that are at one of the files, as the request has it or through links of the root. */
async function placesOf(
  mounts: readonly OciMount[],
  root: string,
  media: HostMedia,
): Promise<ReadonlyMap<OciMount, CheckedPath>> {
  const resolved = await media.run('resolveDestinations', { mounts, places: checkedPaths, root });
  const places = new Map<OciMount, CheckedPath>();
  for (const [nth, path] of checkedPaths.entries()) {
    const real = resolved.places[nth];
    for (const [index, mount] of mounts.entries()) {
      const at = [mount.destination, resolved.mounts[index]?.destination];
      if (!at.includes(path) && !at.includes(real)) continue;
      if (!isBind(mount))
        throw new GuestError(
          'refused',
          `mount at ${path}: it is not a bind mount; help: bind mount a file there`,
        );
      places.set(mount, path);
    }
  }
  return places;
}

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Returns the addresses of the interfaces in the network namespace that is lent, or in the agent's, in their one form. */
    readonly interfaceAddresses: (args: object) => ReadonlySet<string>;
  }
}

/** Of the network namespace of this thread. The kernel's lock of links can wait for a device of the host. */
export function interfaceAddresses(): ReadonlySet<string> {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return new Set(all.flatMap(({ address }) => canonicalAddress(address.split('%')[0] ?? '') ?? []));
}

/** Names and addresses that hosts files may have beside those of localhost and of the pod, as the configuration lists them. */
export type HostAliases = Readonly<Record<string, readonly string[]>>;
