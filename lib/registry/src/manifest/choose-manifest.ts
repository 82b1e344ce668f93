import { ImageError } from '../errors/image-error.js';
import type { ImageReference } from '../reference/reference.js';
import type { FetchedManifest, Registry } from '../registry/registry.js';
import {
  type Descriptor,
  formatPlatform,
  type ImageManifest,
  indexTypes,
  manifestTypes,
  parseManifest,
  type Platform,
  samePlatform,
} from './manifest.js';

/** The manifest of a platform, with what was fetched on the way to it. */
export interface ChosenManifest {
  readonly manifest: ImageManifest;
  readonly fetched: FetchedManifest;
  /** The index if there is one, and the manifest. */
  readonly objects: readonly (FetchedManifest & { readonly kind: 'index' | 'manifest' })[];
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
