import { JsonFields } from '@kata-agent/base';
import { cellText, CommandError, ExitCode, isDirectory, readAt, readInput } from '@kata-agent/cli';
import {
  digestHex,
  digestOf,
  formatReference,
  ImageError,
  parseReference,
  type Platform,
} from '@kata-agent/registry';
import { digestIn, type ImageConfig, parseImageConfig, repositoryOf } from '@kata-agent/workloads';
import { openContainerdStore } from './containerd-store.js';
import { type ImageFiles, openImageFiles } from './image-files.js';
import { otherPlatform } from './image-platform.js';
import { hasBlob, type LayoutEntry, layoutImage, parseLayoutIndex } from './oci-layout.js';

/** Images in a file or directory. */
export interface StoredImages {
  /** For messages. */
  readonly names: readonly string[];
  /** Returns an image by its name in a pod; undefined: it is not there. Rejects with a CommandError. */
  find(image: string): Promise<ImageConfig | undefined>;
}

/**
 * Opens what has images: an OCI layout, or an archive of one; an archive of `docker save` or `podman save`; what `docker inspect` prints;
 * the directory of a containerd.
 * Throws a CommandError: it cannot be read (3), or is none of these (1).
 */
export function openStoredImages(path: string, platform: Platform): StoredImages {
  try {
    if (isJson(path)) return inspectedImages(path, platform);
    const store = isDirectory(path) ? openContainerdStore(path) : undefined;
    if (store !== undefined) return layoutImages(store.files, store.entries, platform);
    const files = openImageFiles(path);
    // Archives of Docker 25 and later have both: the index has the digests.
    const index = files.read('index.json');
    if (index !== undefined) return layoutImages(files, parseLayoutIndex(index), platform);
    const manifest = files.read('manifest.json');
    if (manifest !== undefined) return savedImages(files, manifest, platform);
  } catch (error) {
    throw invalid(path, error);
  }
  throw new CommandError(ExitCode.Failed, `${path} has no images: neither index.json nor manifest.json`, {
    help: [
      'write it with docker save, podman save or skopeo copy; a containerd has its images in /var/lib/containerd',
    ],
  });
}

function layoutImages(files: ImageFiles, entries: readonly LayoutEntry[], platform: Platform): StoredImages {
  return {
    names: entries.flatMap(({ names, digest }) => (names.length === 0 ? [digest] : names)),
    find: async (image) => {
      if (digestIn(image) !== undefined)
        return hasBlob(files, image) ? layoutImage(image, files, platform) : undefined;
      const found = entries.filter(({ names }) => names.some((name) => sameName(name, image)));
      const [first, second] = [...new Set(found.map(({ digest }) => digest))];
      if (second !== undefined)
        throw new CommandError(ExitCode.Failed, `${files.path} has two images ${image}: ${first}, ${second}`);
      return first === undefined ? undefined : layoutImage(`${image}@${first}`, files, platform);
    },
  };
}

/** An image of an archive of `docker save`, or of what `docker inspect` prints. */
interface NamedImage {
  readonly names: readonly string[];
  /** `NAME@DIGEST` of the registries that have it. */
  readonly pinned: readonly string[];
  configuration(): string;
}

/** Source: github.com/moby/moby, image/spec/v1.2, "Combined Image JSON + Filesystem Changeset Format". */
function savedImages(files: ImageFiles, manifest: Buffer, platform: Platform): StoredImages {
  return namedImages(
    listOf(manifest, 'manifest.json').map((value, index) => {
      const record = JsonFields.of(value, `manifest.json[${index}]`);
      const config = record.string('Config');
      return {
        names: record.optionalStrings('RepoTags', maxNames) ?? [],
        pinned: [],
        configuration: () => savedConfiguration(files, config).toString('utf8'),
      };
    }),
    files.path,
    platform,
  );
}

/** Returns the configuration, which has its digest as its name. */
function savedConfiguration(files: ImageFiles, name: string): Buffer {
  const [, hex] = /^(?:blobs\/sha256\/)?([0-9a-f]{64})(?:\.json)?$/.exec(name) ?? [];
  // Before it is opened: the file can be from anywhere, and the name could lead out of the directory.
  if (hex === undefined)
    throw new TypeError(`${JSON.stringify(name)} of its manifest.json is not named by a digest`);
  const bytes = files.read(name);
  if (bytes === undefined) throw new TypeError(`${JSON.stringify(name)} of its manifest.json is not there`);
  if (digestHex(digestOf(bytes)) === hex) return bytes;
  throw new TypeError(`${JSON.stringify(name)} does not have the digest of its name`);
}

function inspectedImages(path: string, platform: Platform): StoredImages {
  const bytes = readInput(path);
  return namedImages(
    listOf(bytes, 'it').map((value, index) => {
      const record = JsonFields.of(value, `it[${index}]`);
      return {
        names: record.optionalStrings('RepoTags', maxNames) ?? [],
        pinned: record.optionalStrings('RepoDigests', maxNames) ?? [],
        configuration: () => JSON.stringify(value),
      };
    }),
    path,
    platform,
  );
}

function namedImages(images: readonly NamedImage[], path: string, platform: Platform): StoredImages {
  return {
    names: images.flatMap(({ names, pinned }) => (names.length === 0 ? pinned : names)),
    find: (image) => {
      const all = images.filter(({ names, pinned }) =>
        [...names, ...pinned].some((name) => sameName(name, image)),
      );
      const [found] = all;
      if (found === undefined) return Promise.resolve(undefined);
      const digests = found.pinned
        .filter((name) => repositoryOf(name) === repositoryOf(image))
        .flatMap((name) => digestIn(name) ?? []);
      const [digest] = digests;
      try {
        const configuration = found.configuration();
        if (all.some((each) => each.configuration() !== configuration))
          throw new CommandError(ExitCode.Failed, `${path} has two images ${image}`);
        const parsed = parseImageConfig(configuration);
        const other = otherPlatform(configuration, platform);
        if (other !== undefined)
          throw new CommandError(ExitCode.Failed, `${path} has image ${image}, but ${other}`, {
            help: ['name its platform: --platform'],
          });
        return Promise.resolve({ ...parsed, ...(digest === undefined ? {} : { digest }) });
      } catch (error) {
        return Promise.reject(invalid(path, error));
      }
    },
  };
}

const maxNames = 10_000;

function listOf(bytes: Uint8Array, what: string): readonly unknown[] {
  const parsed: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
  if (Array.isArray(parsed)) return parsed;
  throw new TypeError(`${what} is not a list of images with names; pass a configuration with --image-config`);
}

/** A tar archive begins with the name of a file. */
function isJson(path: string): boolean {
  if (isDirectory(path)) return false;
  const [first] = readAt(path, 0, 1) ?? [];
  return first === 0x5b || first === 0x7b;
}

/** Compares names with their defaults: `nginx` and `docker.io/library/nginx:latest`. */
function sameName(a: string, b: string): boolean {
  return normalized(a) === normalized(b);
}

function normalized(name: string): string {
  try {
    return formatReference(parseReference(name));
  } catch (error) {
    if (error instanceof ImageError) return name;
    throw error;
  }
}

function invalid(path: string, error: unknown): unknown {
  if (error instanceof CommandError) return error;
  const why = cellText(error instanceof Error ? error.message : String(error));
  return new CommandError(ExitCode.Failed, `${path} has no images that can be read: ${why}`, {
    help: ['write it with docker save, podman save, skopeo copy or docker inspect'],
    cause: error,
  });
}
