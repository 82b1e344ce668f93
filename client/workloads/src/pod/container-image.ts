import { isRecord, JsonFields } from '@kata-agent/base';

/** The `config` of an OCI image configuration. */
export interface ImageConfig {
  readonly user: string;
  /** `NAME=value`. */
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly workingDir: string;
  readonly volumes: readonly string[];
  readonly stopSignal: string;
  /** What the image's name refers to, an index or a manifest; absent: not known. */
  readonly digest?: string;
  /** Of the manifest of the platform; absent: not known. */
  readonly manifestDigest?: string;
  /** Groups of the user in the image's own /etc/group, by number. */
  readonly groups: readonly number[];
  /** The number of its layers. Absent: unknown. */
  readonly layers?: number;
  /** The dm-verity root hash of each layer as an EROFS, in hexadecimal, the base first; empty: unknown. */
  readonly rootHashes: readonly string[];
}

/** By the image's name in the pod. */
export type ImageConfigs = ReadonlyMap<string, ImageConfig>;

/**
 * Parses an OCI image configuration: the JSON that `skopeo inspect --config docker://IMAGE` or `crane config IMAGE`
 * prints, or what `docker inspect` and `podman inspect` print for an image. Absent keys are empty; a document of another
 * kind, which would be an image without anything, is refused by its name. No tool prints the supplementary groups from
 * the image's /etc/group: add them by hand, as `"groups": [10]` next to `config`; so are the root hashes that containerd's erofs differ writes to
 * `layer.erofs.dmverity`, as `"roothashes": ["…"]`, in the order of `rootfs.diff_ids`. Throws TypeError or SyntaxError
 * if it is invalid.
 *
 * Source: OCI image-spec v1, config.md; `ImageInspect` of the Docker Engine API.
 */
export function parseImageConfig(text: string): ImageConfig {
  const document = fieldsOf(configurationIn(JSON.parse(text)), 'the image configuration');
  const config = fieldsOf(document.get('config') ?? {}, 'config');
  return {
    user: config.optionalString('User') ?? '',
    env: words(config, 'Env'),
    entrypoint: words(config, 'Entrypoint'),
    cmd: words(config, 'Cmd'),
    workingDir: config.optionalString('WorkingDir') ?? '',
    volumes: config.optionalObject('Volumes')?.names() ?? [],
    stopSignal: config.optionalString('StopSignal') ?? '',
    groups: groupsOf(document),
    ...layersOf(document),
  };
}

/** Returns an OCI image configuration of any form that is read. Throws TypeError for the others. */
function configurationIn(value: unknown): unknown {
  const [document = {}, ...others] = Array.isArray(value) ? (value as readonly unknown[]) : [value];
  if (others.length > 0) throw new TypeError(`it has ${others.length + 1} images, and must have one`);
  if (!isRecord(document)) return document;
  const { Config, RootFS } = document;
  if (isRecord(Config) && isRecord(RootFS))
    return { config: Config, rootfs: { diff_ids: RootFS['Layers'] ?? undefined } };
  const other = otherDocuments.find(({ keys }) => keys.every((key) => Object.hasOwn(document, key)));
  if (other !== undefined) throw new TypeError(other.is);
  if (!['config', 'rootfs'].some((key) => Object.hasOwn(document, key)))
    throw new TypeError('it has neither config nor rootfs');
  return document;
}

/** Documents of an image that are taken for its configuration, by their keys. */
const otherDocuments: readonly { readonly keys: readonly string[]; readonly is: string }[] = [
  { keys: ['manifests'], is: 'it is the index of an image' },
  { keys: ['layers'], is: 'it is the manifest of an image' },
  { keys: ['fsLayers'], is: 'it is the manifest of an image, of schema 1' },
  {
    keys: ['Digest', 'Layers'],
    is: 'it is what skopeo inspect prints without --config, and has neither entrypoint nor user',
  },
  { keys: ['Config', 'State'], is: 'it is what docker inspect prints for a container, not for an image' },
];

function layersOf(document: JsonFields): Pick<ImageConfig, 'layers' | 'rootHashes'> {
  const rootfs = fieldsOf(document.get('rootfs') ?? {}, 'rootfs');
  const layers = rootfs.get('diff_ids') === undefined ? undefined : words(rootfs, 'diff_ids').length;
  const rootHashes = words(document, 'roothashes');
  if (!rootHashes.every((hash) => /^[0-9a-f]{64}$/.test(hash)))
    throw new TypeError('roothashes must be SHA-256 hashes: 64 hexadecimal digits');
  if (rootHashes.length === 1)
    throw new TypeError(
      'roothashes must be absent for an image of one layer: runtime-rs 4.1 does not verify it',
    );
  if (rootHashes.length > 0 && layers !== undefined && rootHashes.length !== layers)
    throw new TypeError(`roothashes must have a hash for each of the ${layers} layers of rootfs.diff_ids`);
  return { ...(layers === undefined ? {} : { layers }), rootHashes };
}

function groupsOf(document: JsonFields): readonly number[] {
  const value = document.get('groups') ?? [];
  const isGroup = (each: unknown): boolean => Number.isSafeInteger(each) && Number(each) >= 0;
  if (!Array.isArray(value) || !value.every(isGroup)) throw new TypeError('groups must be a list of numbers');
  return value.map(Number);
}

function words(owner: JsonFields, key: string): readonly string[] {
  const value = owner.get(key) ?? [];
  if (Array.isArray(value) && value.every((element) => typeof element === 'string')) return value;
  throw owner.wrong(key, 'a list of strings');
}

function fieldsOf(value: unknown, name: string): JsonFields {
  return JsonFields.of(value, name, (text, { owner, member, wanted }) => {
    const of = owner === 'the image configuration' ? member : `${owner}.${member}`;
    return new TypeError(
      wanted === undefined ? text : `${member === undefined ? owner : of} must be ${wanted}`,
    );
  });
}
