import { inParallel } from '@kata-agent/base';
import {
  checkEndpointSettings,
  defaultTransportLimits,
  EndpointClient,
  endpointsOf,
  type ImageConfig,
  ImageError,
  type ImageReference,
  type LayerDescriptor,
  ownPlatform,
  parseReference,
  Registry,
  Transport,
} from '@kata-agent/registry';
import { BlobDirectory, downloadBlob } from '../registry/download-blob.js';
import { type LayerCipher, openLayerCipher, type WrappedKey } from '../encryption/layer-cipher.js';
import {
  type PullDependencies,
  type PulledImage,
  type PulledLayer,
  type PullRequest,
  type PullSettings,
} from './pull-request.js';
import { checkReference } from './check-reference.js';
import { FetchedDocuments } from '../manifest/image-documents.js';
import { verifyImage } from './verify-image.js';

const defaultTotalMs = 20 * 60_000;
const parallelLayers = 3;

/**
 * Pulls an image: from a reference to verified blobs in the directory. Everything that needs no network is checked first, then
 * signatures, before any layer is fetched. Rejects with an ImageError; the caller removes the directory.
 */
export async function pull(request: PullRequest, dependencies: PullDependencies): Promise<PulledImage> {
  const { settings, platform = ownPlatform() } = request;
  const reference = parseReference(request.reference);
  const requirements = checkReference(reference, settings);
  checkEndpointSettings(settings);
  return withDeadline(dependencies, async (signal) => {
    const registry = registryFor(reference, settings, { ...dependencies, signal });
    const blobs = new BlobDirectory(dependencies.directory);
    const documents = new FetchedDocuments(registry, blobs);
    const demand = { reference, requirements, platform, maxBytes: settings.maxBytes };
    const { manifest, config, manifests, ...verified } = await verifyImage(documents, demand);
    const { decryptionKeys } = settings;
    const unwrapKey = async (key: WrappedKey) => dependencies.unwrapKey?.(key, manifests);
    // A key that is missing is found before the layers are fetched.
    const ciphers = new Map<LayerDescriptor, LayerCipher>();
    for (const layer of manifest.layers)
      if (layer.type.encrypted)
        ciphers.set(layer, await openLayerCipher(layer, { decryptionKeys, unwrapKey }));
    dependencies.onDocuments?.(documents.fetched);
    const missing = new Map(manifest.layers.map((layer) => [layer.digest, layer]));
    missing.delete(manifest.config.digest);
    const source = registry.blob.bind(registry);
    await inParallel([...missing.values()], parallelLayers, async (layer) => {
      await downloadBlob(source, blobs, layer);
      dependencies.onLayer?.(layer);
    });
    for (const [layer, cipher] of ciphers) await cipher.verify(blobs.open(layer.digest));
    return {
      reference,
      ...verified,
      config,
      configDigest: manifest.config.digest,
      layers: manifest.layers.map((layer, index) => pulledLayer(layer, index, { blobs, config, ciphers })),
      documents: documents.fetched,
    };
  });
}

function registryFor(
  reference: ImageReference,
  settings: PullSettings,
  { proxy, userAgent, limits = defaultTransportLimits, signal }: PullDependencies,
): Registry {
  const transport = new Transport({
    ca: settings.registryCa,
    ...(proxy === undefined ? {} : { proxyOf: () => proxy }),
    limits,
    userAgent,
    signal,
  });
  return new Registry(
    endpointsOf(reference, settings).map((endpoint) => new EndpointClient(endpoint, transport)),
  );
}

function pulledLayer(
  layer: LayerDescriptor,
  index: number,
  {
    blobs,
    config,
    ciphers,
  }: {
    readonly blobs: BlobDirectory;
    readonly config: ImageConfig;
    readonly ciphers: ReadonlyMap<LayerDescriptor, LayerCipher>;
  },
): PulledLayer {
  const diffId = config.diffIds[index];
  if (diffId === undefined) throw new Error('verifyImage compares the numbers');
  const cipher = ciphers.get(layer);
  return {
    digest: layer.digest,
    diffId,
    mediaType: layer.type.mediaType,
    size: layer.size,
    encrypted: layer.type.encrypted,
    open: () => (cipher === undefined ? blobs.open(layer.digest) : cipher.decrypt(blobs.open(layer.digest))),
  };
}

/** Runs `work` with a signal that also aborts at the end of the time for the whole pull. */
async function withDeadline<T>(
  { signal, totalMs = defaultTotalMs }: PullDependencies,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), totalMs);
  try {
    return await work(AbortSignal.any([signal, deadline.signal]));
  } catch (error) {
    if (signal.aborted) throw new ImageError('canceled', 'the pull was ended');
    if (deadline.signal.aborted)
      throw new ImageError('too-slow', `the pull took more than ${totalMs / 1000} s`);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
