import { ImageError } from '../errors/image-error.js';
import { type FetchedManifest, maxDocumentBytes, type Registry } from '../registry/registry.js';
import { type ImageConfig, parseImageConfig } from '../manifest/image-config.js';
import {
  type Descriptor,
  formatPlatform,
  type ImageManifest,
  indexTypes,
  manifestTypes,
  parseManifest,
  type Platform,
  samePlatform,
} from '../manifest/manifest.js';
import type { Digest } from '../reference/digest.js';
import type { ImageReference } from '../reference/reference.js';
import type { SignatureRequirement } from '../signature/signature-requirements.js';
import {
  type SignableObject,
  type VerifiedSignature,
  verifySignatures,
} from '../signature/verify-signatures.js';
import type { ImageDocuments } from '../manifest/image-documents.js';

/** What an image must be. */
export interface ImageDemand {
  readonly reference: ImageReference;
  /** Of `checkReference`. */
  readonly requirements: readonly SignatureRequirement[];
  readonly platform: Platform;
  /** Of all blobs. */
  readonly maxBytes: number;
}

/** An image whose layers are known, and not fetched yet. */
export interface VerifiedImage {
  /** What the reference names: an index, or a manifest. */
  readonly digest: Digest;
  /** Of the platform's manifest. */
  readonly manifestDigest: Digest;
  readonly manifest: ImageManifest;
  readonly config: ImageConfig;
  /** What the reference names, and if that is an index the manifest that was chosen. */
  readonly manifests: readonly FetchedManifest[];
  /** One for each requirement. */
  readonly signatures: readonly VerifiedSignature[];
}

/**
 * Finds out which image a reference is: its manifest for a platform, its signatures, then its configuration. The process that has the
 * network does so before it fetches layers, and the agent again with the documents that it sends. Throws an ImageError.
 */
export async function verifyImage(
  documents: ImageDocuments,
  { reference, requirements, platform, maxBytes }: ImageDemand,
): Promise<VerifiedImage> {
  const { manifest, fetched, objects } = await chooseManifest(documents, reference, platform);
  checkSizes(manifest, maxBytes);
  const signatures = await verifySignatures(documents, reference, objects, requirements);
  const config = parseImageConfig(await documents.configuration(manifest.config));
  checkConfig(config, manifest, platform);
  return {
    digest: objects[0]?.digest ?? fetched.digest,
    manifestDigest: fetched.digest,
    manifest,
    config,
    manifests: objects,
    signatures,
  };
}

function checkSizes({ config, layers }: ImageManifest, maxBytes: number): void {
  if (config.size > maxDocumentBytes)
    throw new ImageError(
      'image-too-large',
      `the configuration has ${config.size} bytes: more than ${maxDocumentBytes}`,
    );
  const total = layers.reduce((sum, { size }) => sum + size, config.size);
  if (total > maxBytes)
    throw new ImageError('image-too-large', `the blobs have ${total} bytes: more than max_size, ${maxBytes}`);
}

function checkConfig(config: ImageConfig, { layers }: ImageManifest, wanted: Platform): void {
  // Most configurations leave the variant out.
  const platform =
    config.platform.variant === undefined ? { ...wanted, ...config.platform } : config.platform;
  if (!samePlatform(platform, wanted))
    throw new ImageError(
      'platform-missing',
      `the image is for ${formatPlatform(config.platform)
        .slice(0, 100)
        .replaceAll(/[^\w/.-]/g, '?')}, not for ${formatPlatform(wanted)}`,
    );
  if (config.diffIds.length !== layers.length)
    throw new ImageError(
      'manifest-invalid',
      `the configuration has ${config.diffIds.length} diff_ids for ${layers.length} layers`,
    );
}

/** The manifest of a platform, with what was fetched on the way to it. */
interface ChosenManifest {
  readonly manifest: ImageManifest;
  readonly fetched: FetchedManifest;
  /** What a signature can be of: the index if there is one, and the manifest. */
  readonly objects: readonly (FetchedManifest & SignableObject)[];
}

/** Fetches what a reference names, and from an index the manifest of exactly the platform. Throws an ImageError. */
export async function chooseManifest(
  registry: Pick<Registry, 'manifest'>,
  reference: ImageReference,
  platform: Platform,
): Promise<ChosenManifest> {
  const named = reference.digest ?? reference.tag ?? 'latest';
  const top = await registry.manifest(named, [...indexTypes, ...manifestTypes]);
  const parsed = parseManifest(top);
  if (parsed.kind === 'manifest')
    return { manifest: parsed, fetched: top, objects: [{ ...top, kind: 'manifest' }] };
  // The first, as in containerd: tools put alternatives with other compressions after it.
  const entry = parsed.manifests.find(
    (each) => each.platform !== undefined && samePlatform(each.platform, platform),
  );
  if (entry === undefined)
    throw new ImageError('platform-missing', `${top.digest} has no image for ${formatPlatform(platform)}`);
  const fetched = await fetchEntry(registry, entry);
  const manifest = parseManifest(fetched);
  if (manifest.kind === 'index')
    throw new ImageError('manifest-unsupported', `${top.digest} is an index of indexes`);
  return {
    manifest,
    fetched,
    objects: [
      { ...top, kind: 'index' },
      { ...fetched, kind: 'manifest' },
    ],
  };
}

async function fetchEntry(registry: Pick<Registry, 'manifest'>, entry: Descriptor): Promise<FetchedManifest> {
  const { digest, mediaType, size } = entry;
  if (!manifestTypes.includes(mediaType))
    throw new ImageError(
      'manifest-unsupported',
      `${digest}, of an index, is not a manifest of an image: an index of indexes, for example`,
    );
  const fetched = await registry.manifest(digest, [mediaType]);
  if (fetched.mediaType !== mediaType)
    throw new ImageError('manifest-invalid', `${digest} does not have the media type of its descriptor`);
  if (fetched.bytes.length !== size)
    throw new ImageError('size-mismatch', `${digest} has ${fetched.bytes.length} instead of ${size} bytes`);
  return fetched;
}
