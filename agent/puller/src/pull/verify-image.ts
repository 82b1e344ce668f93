import {
  chooseManifest,
  type Digest,
  type FetchedManifest,
  formatPlatform,
  type ImageConfig,
  ImageError,
  type ImageManifest,
  type ImageReference,
  maxDocumentBytes,
  parseImageConfig,
  type Platform,
  samePlatform,
} from '@kata-agent/registry';
import type { SignatureRequirement } from '../signature/signature-requirements.js';
import { type VerifiedSignature, verifySignatures } from '../signature/verify-signatures.js';
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
