import { JsonFields } from '@kata-agent/base';
import { ImageError } from '../errors/image-error.js';
import { type Digest, isDigest } from '../reference/digest.js';
import type { FetchedManifest } from '../registry/registry.js';

const oci = 'application/vnd.oci.image.';
const docker = 'application/vnd.docker.';

/** Media types of an image. */
export const MediaType = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
} as const;

export const indexTypes: readonly string[] = [MediaType.ociIndex, MediaType.dockerIndex];
export const manifestTypes: readonly string[] = [MediaType.ociManifest, MediaType.dockerManifest];
const configTypes: readonly string[] = [MediaType.ociConfig, MediaType.dockerConfig];

/** Tar archives of files, plain or compressed. */
const layerTypes: readonly string[] = [
  `${oci}layer.v1.tar`,
  `${oci}layer.v1.tar+gzip`,
  `${oci}layer.v1.tar+zstd`,
  `${docker}image.rootfs.diff.tar`,
  `${docker}image.rootfs.diff.tar.gzip`,
  `${docker}image.rootfs.diff.tar.zstd`,
];

const encryptedSuffix = '+encrypted';

export interface ImageIndex {
  readonly kind: 'index';
  readonly manifests: readonly (Descriptor & { readonly platform?: Platform })[];
}

export type LayerDescriptor = Descriptor & { readonly type: LayerType };

export interface ImageManifest {
  readonly kind: 'manifest';
  readonly config: Descriptor;
  /** The lowest first. */
  readonly layers: readonly LayerDescriptor[];
}

const maxIndexEntries = 256;
/** As Docker's and containerd's overlay can mount. */
const maxLayers = 127;

/**
 * Parses an index or a manifest of an image. What it is follows from the header, and the document must agree: a document that
 * is both is read by each tool in another way. Throws an ImageError.
 */
export function parseManifest({ bytes, mediaType, digest }: FetchedManifest): ImageIndex | ImageManifest {
  const isIndex = indexTypes.includes(mediaType);
  if (!isIndex && !manifestTypes.includes(mediaType))
    throw new ImageError(
      'manifest-unsupported',
      `${digest} is neither an index nor a manifest of an image (OCI, or Docker schema 2)`,
    );
  const fields = parseDocument(bytes, digest);
  checkEnvelope(fields, mediaType);
  return isIndex ? parseIndex(fields) : parseImage(fields);
}

/** Checks what tells an index from a manifest. */
export function checkEnvelope(fields: JsonFields, mediaType: string): void {
  if (fields.size('schemaVersion') !== 2) throw fields.error('schemaVersion', 'is not 2');
  // Docker requires it; OCI recommends it.
  const own = fields.optionalString('mediaType');
  const isDocker = mediaType.startsWith('application/vnd.docker.');
  if (own === undefined ? isDocker : own !== mediaType)
    throw fields.error('mediaType', 'is not that of the Content-Type header');
  const other = indexTypes.includes(mediaType) ? ['layers', 'config', 'fsLayers'] : ['manifests', 'fsLayers'];
  const found = other.find((name) => fields.has(name));
  if (found !== undefined) throw fields.error(found, `cannot stand in a document of the type ${mediaType}`);
}

function parseIndex(fields: JsonFields): ImageIndex {
  const manifests = fields.objects('manifests', maxIndexEntries).map((entry) => {
    const platform = entry.optionalObject('platform');
    const variant = platform?.optionalString('variant');
    return {
      ...parseDescriptor(entry),
      ...(platform === undefined
        ? {}
        : {
            platform: {
              os: platform.string('os'),
              architecture: platform.string('architecture'),
              ...(variant === undefined ? {} : { variant }),
            },
          }),
    };
  });
  return { kind: 'index', manifests };
}

function parseImage(fields: JsonFields): ImageManifest {
  const config = parseDescriptor(fields.object('config'));
  if (!configTypes.includes(config.mediaType))
    throw new ImageError(
      'manifest-unsupported',
      'the manifest is of another artifact: it has no configuration of an image',
    );
  const entries = fields.objects('layers', Number.MAX_SAFE_INTEGER);
  if (entries.length === 0) throw fields.error('layers', 'is empty');
  if (entries.length > maxLayers)
    throw new ImageError('image-too-large', `the image has ${entries.length} layers: more than ${maxLayers}`);
  const layers = entries.map((entry, index) => {
    const layer = parseDescriptor(entry);
    const type = parseLayerType(layer.mediaType);
    if (type === undefined)
      throw new ImageError('manifest-unsupported', `layer ${index} has a media type that is not unpacked`);
    return { ...layer, type };
  });
  return { kind: 'manifest', config, layers };
}

/** What a manifest says about a blob or another manifest. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** In bytes. */
  readonly size: number;
  readonly annotations: ReadonlyMap<string, string>;
}

/** Parses a document of an image, with the error of what is malformed in it. */
export function parseDocument(bytes: Uint8Array, what: string): JsonFields {
  return JsonFields.parse(bytes, what, (text) => new ImageError('manifest-invalid', text));
}

/** Throws an ImageError. */
export function parseDescriptor(fields: JsonFields): Descriptor {
  const digest = fields.string('digest');
  if (!isDigest(digest)) throw fields.error('digest', 'is not a sha256 or sha512 digest');
  // The bytes would come from another server, and be of the host's choice in all but the digest.
  if (fields.has('urls')) throw new ImageError('manifest-unsupported', `${digest} has urls: a foreign layer`);
  return {
    mediaType: fields.string('mediaType'),
    digest,
    size: fields.size('size'),
    annotations: fields.stringMap('annotations'),
  };
}

/** The type of a layer: that of its bytes once they are decrypted. */
interface LayerType {
  readonly mediaType: string;
  readonly encrypted: boolean;
}

/** Returns undefined for every type that is not unpacked, foreign layers among them. */
function parseLayerType(mediaType: string): LayerType | undefined {
  const encrypted = mediaType.startsWith(oci) && mediaType.endsWith(encryptedSuffix);
  const plain = encrypted ? mediaType.slice(0, -encryptedSuffix.length) : mediaType;
  return layerTypes.includes(plain) ? { mediaType: plain, encrypted } : undefined;
}

/** What an image runs on, in the words of Go: `linux`, `amd64` or `arm64`, and the variant of an arm processor. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** Reports whether two platforms are the same. The variants that are a processor's only or first are the same as none. */
export function samePlatform(a: Platform, b: Platform): boolean {
  return a.os === b.os && a.architecture === b.architecture && variantOf(a) === variantOf(b);
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return `${os}/${architecture}${variant === undefined || variant === '' ? '' : `/${variant}`}`;
}

/** Returns the platform of this program. Variants of 32-bit arm are not known to Node.js. */
export function ownPlatform(): Platform {
  const architectures: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };
  return { os: 'linux', architecture: architectures[process.arch] ?? process.arch };
}

function variantOf({ architecture, variant = '' }: Platform): string {
  const only: Readonly<Record<string, string>> = { arm64: 'v8', amd64: 'v1' };
  return variant === only[architecture] ? '' : variant;
}
