import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { Descriptor, Directory, type Syscalls } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { HostMedia } from '../media/host-media.js';
import { quotedPath } from '../quoted.js';
import type { OciMount } from '../request/oci-spec.js';
import type { OpenSource } from '../source/open-source.js';
import { isBind } from '../spec/mounts.js';
import type { UndoStack } from '../undo-stack.js';
import { mountCopyOnWrite } from '../storage/writable-layer.js';

interface Parts {
  readonly rootfs: string;
  /** The container's bundle. */
  readonly bundle: string;
  readonly syscalls: Syscalls;
  readonly media: HostMedia;
  readonly made: UndoStack;
}

/**
 * The volumes that a container's image declares, and that the guest fills from the container's root: the engine fills a directory of
 * the host with the same content, and nothing shows that it is the same. The host's source is not opened.
 */
export class ImageVolumes {
  readonly #parts: Parts;
  readonly #places: ReadonlyMap<OciMount, string>;
  #count = 0;

  /**
   * Finds those volumes among mounts with clean destinations.
   *
   * @param paths their mount points
   * @throws GuestError `refused`: something else than a bind mount is there.
   */
  static async find(
    paths: readonly string[],
    mounts: readonly OciMount[],
    parts: Parts,
  ): Promise<ImageVolumes> {
    const places = new Map<OciMount, string>();
    if (paths.length === 0) return new ImageVolumes(parts, places);
    const { media, rootfs: root } = parts;
    const resolved = await media.run('resolveDestinations', { mounts, places: paths, root });
    for (const [nth, path] of paths.entries()) {
      const place = resolved.places[nth] ?? path;
      for (const [index, mount] of mounts.entries()) {
        if (mount.destination !== path && resolved.mounts[index]?.destination !== place) continue;
        if (!isBind(mount))
          throw new GuestError(
            'refused',
            `mount at ${quotedPath(path)}: it is not a bind mount, and image_volumes of the configuration names it`,
          );
        places.set(mount, place.slice(1));
      }
    }
    return new ImageVolumes(parts, places);
  }

  private constructor(parts: Parts, places: ReadonlyMap<OciMount, string>) {
    this.#parts = parts;
    this.#places = places;
  }

  /**
   * Returns the volume as the source of a mount; undefined: the mount is another. It is an overlay of the directory in the container's
   * root and of a tmpfs, which are removed with the container. The caller closes the descriptor.
   */
  async sourceOf(mount: OciMount): Promise<OpenSource | undefined> {
    const place = this.#places.get(mount);
    if (place === undefined) return undefined;
    const { bundle, rootfs, syscalls, media, made } = this.#parts;
    this.#count += 1;
    const directory = join(bundle, `volume-${this.#count}`);
    const target = join(directory, 'volume');
    for (const path of [directory, target]) {
      mkdirSync(path, { mode: 0o700 });
      made.push(`directory ${path}`, () => rmdirSync(path));
    }
    const root = Directory.open(syscalls, rootfs);
    try {
      // As the engine, it makes a directory that the image does not have.
      const { fd } = await media.run('openPlace', { place }, [root.fd]);
      const lower = new Descriptor(syscalls, fd);
      try {
        await mountCopyOnWrite({ lower: fd, target, bundle: directory }, { syscalls, media }, made);
      } finally {
        lower.close();
      }
    } finally {
      root.close();
    }
    return {
      descriptor: openVolume(directory, syscalls),
      kind: 'kata',
      base: directory,
      below: 'volume',
      path: target,
      writable: true,
      isDirectory: true,
      isFile: false,
      isDevice: false,
      device: undefined,
    };
  }
}

function openVolume(directory: string, syscalls: Syscalls): Descriptor {
  const parent = Directory.open(syscalls, directory);
  try {
    return parent.place('volume');
  } finally {
    parent.close();
  }
}
