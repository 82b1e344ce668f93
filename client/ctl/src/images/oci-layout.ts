import { join } from 'node:path';
import { cellText, CommandError, ExitCode } from '@kata-agent/cli';
import {
  chooseManifest,
  type Digest,
  digestAlgorithm,
  digestHex,
  digestOf,
  type FetchedManifest,
  ImageError,
  MediaType,
  parseDescriptor,
  parseDocument,
  parseReference,
  type Platform,
} from '@kata-agent/registry';
import { digestIn, type ImageConfig, parseImageConfig } from '@kata-agent/workloads';
import { otherPlatform } from './image-platform.js';
import { directoryFiles, type ImageFiles } from './image-files.js';

/**
 * Reads the configuration of an image from an OCI layout, by the digest in the image's name. Each file on the way is
 * verified, so that the layout needs no trust. Rejects with a CommandError.
 */
export async function readImageLayout(
  image: string,
  directory: string,
  platform: Platform,
): Promise<ImageConfig> {
  if (digestIn(image) === undefined)
    throw new CommandError(
      ExitCode.Failed,
      `image ${image} has no digest, so that any image could be in the layout`,
      {
        help: [
          `write it as NAME@sha256:DIGEST, in the pod too: jq -r '.manifests[].digest' ${join(directory, 'index.json')} prints the digests that it has`,
        ],
      },
    );
  return layoutImage(image, directoryFiles(directory), platform);
}

/** Reads the configuration of an image with a digest from the files of an OCI layout, and verifies each on the way. Rejects with a CommandError. */
export async function layoutImage(
  image: string,
  files: ImageFiles,
  platform: Platform,
): Promise<ImageConfig> {
  const blob = (digest: Digest): Buffer => readBlob(image, files, digest);
  const registry = {
    manifest: (name: string, accept: readonly string[]): Promise<FetchedManifest> => {
      const digest = name as Digest;
      const bytes = blob(digest);
      return Promise.resolve({ bytes, digest, mediaType: mediaTypeOf(bytes, digest, accept) });
    },
  };
  try {
    const { manifest, fetched, objects } = await chooseManifest(registry, parseReference(image), platform);
    const configuration = blob(manifest.config.digest).toString('utf8');
    const parsed = parseImageConfig(configuration);
    // Of a manifest without an index, nothing else says it.
    const other = otherPlatform(configuration, platform);
    if (other !== undefined) throw new ImageError('platform-missing', other);
    return {
      ...parsed,
      digest: objects[0]?.digest ?? fetched.digest,
      manifestDigest: fetched.digest,
    };
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const why = cellText(error instanceof Error ? error.message : String(error));
    throw new CommandError(ExitCode.Failed, `${files.path} has no image ${image} that can be read: ${why}`, {
      help:
        error instanceof ImageError && error.code === 'platform-missing' ? ['name another: --platform'] : [],
      cause: error,
    });
  }
}

/** An image of the index of a layout. */
export interface LayoutEntry {
  /** As the program that wrote it names it; a tag alone is no name. */
  readonly names: readonly string[];
  readonly digest: Digest;
}

/** Annotations with names: of OCI, and of containerd and Docker. */
const nameAnnotations = ['org.opencontainers.image.ref.name', 'io.containerd.image.name'];

/** Parses `index.json`. Throws an ImageError. */
export function parseLayoutIndex(bytes: Uint8Array): readonly LayoutEntry[] {
  return parseDocument(bytes, 'index.json')
    .objects('manifests', maxImages)
    .map((entry) => {
      const { digest, annotations } = parseDescriptor(entry);
      const names = nameAnnotations.flatMap((key) => annotations.get(key) ?? []);
      return { digest, names: names.filter((name) => /[/:]/.test(name)) };
    });
}

const maxImages = 10_000;

/** Reports whether a layout has what a name with a digest means. */
export function hasBlob(files: ImageFiles, image: string): boolean {
  const { digest } = parseReference(image);
  return digest !== undefined && files.read(blobName(digest)) !== undefined;
}

function blobName(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}

/** Returns a blob that has its digest. */
function readBlob(image: string, files: ImageFiles, digest: Digest): Buffer {
  const name = blobName(digest);
  const bytes = files.read(name);
  if (bytes === undefined)
    throw new CommandError(
      ExitCode.CannotApply,
      `${files.path} does not have image ${image}: ${name} is not there`,
      {
        help: [
          `fetch it again, such as: skopeo copy --all --preserve-digests docker://${image} oci:DIRECTORY`,
        ],
      },
    );
  if (digestOf(bytes, digestAlgorithm(digest)) === digest) return bytes;
  throw new CommandError(
    ExitCode.Failed,
    `${files.path} has no image ${image} that can be read: ${name} does not have the digest of its name`,
  );
}

/** A layout has no Content-Type header: the document says what it is, or has the members of it. */
function mediaTypeOf(bytes: Buffer, what: string, accept: readonly string[]): string {
  const [only, ...others] = accept;
  if (only !== undefined && others.length === 0) return only;
  const fields = parseDocument(bytes, what);
  return (
    fields.optionalString('mediaType') ??
    (fields.has('manifests') ? MediaType.ociIndex : MediaType.ociManifest)
  );
}
