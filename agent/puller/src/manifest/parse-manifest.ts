import { ImageError } from '../errors/image-error.js';
import type { Fields } from '../json/fields.js';
import type { FetchedManifest } from '../registry/registry.js';
import { type Descriptor, parseDescriptor, parseDocument } from './descriptor.js';
import { configTypes, indexTypes, type LayerType, manifestTypes, parseLayerType } from './media-types.js';
import type { Platform } from './platform.js';

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
export function checkEnvelope(fields: Fields, mediaType: string): void {
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

function parseIndex(fields: Fields): ImageIndex {
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

function parseImage(fields: Fields): ImageManifest {
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
