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
export const configTypes: readonly string[] = [MediaType.ociConfig, MediaType.dockerConfig];

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

/** The type of a layer: that of its bytes once they are decrypted. */
export interface LayerType {
  readonly mediaType: string;
  readonly encrypted: boolean;
}

/** Returns undefined for every type that is not unpacked, foreign layers among them. */
export function parseLayerType(mediaType: string): LayerType | undefined {
  const encrypted = mediaType.startsWith(oci) && mediaType.endsWith(encryptedSuffix);
  const plain = encrypted ? mediaType.slice(0, -encryptedSuffix.length) : mediaType;
  return layerTypes.includes(plain) ? { mediaType: plain, encrypted } : undefined;
}
