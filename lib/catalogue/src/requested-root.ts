// The guest reads it, and so do the rules: both see the same layers of a request.
import { kataDirectory, sharedDirectory } from './runtime-habits.js';
import { guestPull } from './request-features.js';

/**
 * The path by which a request names the disk on which the image of its container is stored (Kata 4.1, src/agent/src/rpc.rs,
 * TRUSTED_IMAGE_STORAGE_DEVICE).
 */
export const scratchPath = '/dev/trusted_store';

/** A read-only layer of a container's root under dm-verity: what names its content, together. */
export interface VerifiedLayer {
  /** SHA-256 of the hash tree's root: 64 lower-case hexadecimal digits. */
  readonly rootHash: string;
  /** Lower-case hex; empty: none. */
  readonly salt: string;
  /** Blocks of 4096 bytes before the hash tree. */
  readonly dataBlocks: number;
}

/** A storage, of the wire or of the guest. */
interface RequestedStorage {
  readonly driver: string;
  readonly driverOptions: readonly string[];
  readonly source: string;
  readonly fstype: string;
  readonly options: readonly string[];
  readonly mountPoint: string;
  readonly fsGroup?: unknown;
  readonly shared: boolean;
}

/** The parts of a request to create a container that determine its root. */
export interface RootRequest {
  readonly id: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** `root.path` of the spec; undefined: it has no root. */
  readonly rootPath: string | undefined;
  readonly storages: readonly RequestedStorage[];
}

/** The root of a container in a guest that accepts verified layers only. */
export type RequestedRoot =
  /** The pause container: from the guest image, whatever the host offers. */
  | { readonly kind: 'pause' }
  /** These layers, the base first, and an upper in memory; nothing else. */
  | { readonly kind: 'layers'; readonly layers: readonly VerifiedLayer[] }
  | { readonly kind: 'refused'; readonly why: string };

/** Annotations that say whether a container is the sandbox's own. */
const typeKeys = ['io.kubernetes.cri.container-type', 'io.kubernetes.cri-o.ContainerType'];

/** Reports whether annotations, or metadata of a volume, are of the sandbox's own container. */
export function isOfSandbox(annotations: Readonly<Record<string, string>>): boolean {
  return typeKeys.some((key) => annotations[key] === 'sandbox');
}

/** Marks a storage as a layer of the container's root. */
const layerMark = 'X-kata.multi-layer=true';

/** As runtime-rs. */
const maxLayers = 128;

/** The only sizes of blocks, in bytes. */
const blockSize = 4096;

/** Returns the places where Kata's runtimes mount the root of a container. */
function rootPlacesOf(id: string): readonly string[] {
  return [
    `${kataDirectory}/${id}/rootfs`,
    `${sharedDirectory}/${id}`,
    `${sharedDirectory}/${id}/rootfs`,
    `${sharedDirectory}/passthrough/${id}/rootfs`,
  ];
}

/**
 * Determines the root of a container with `[image] layers = "verified"`. Strict: a request in any other form than that of
 * runtime-rs is refused, so that nothing but dm-verity devices with known parameters is below the root, and nothing of the
 * host is above it. Pure.
 */
export function requestedRoot({ id, annotations, rootPath, storages }: RootRequest): RequestedRoot {
  if (isOfSandbox(annotations)) return { kind: 'pause' };
  const layers = storages.filter(({ options }) => options.includes(layerMark));
  try {
    if (layers.length === 0) throw new Refused('it has none');
    if (layers.length > maxLayers)
      throw new Refused(`it has ${layers.length} of them, at most ${maxLayers} are allowed`);
    const places = rootPlacesOf(id);
    const place = layers[0]?.mountPoint ?? '';
    if (!places.includes(place)) throw new Refused(`they are mounted at ${quoted(place)}`);
    const elsewhere = layers.find(({ mountPoint }) => mountPoint !== place);
    if (elsewhere !== undefined)
      throw new Refused(`one of them is mounted elsewhere, at ${quoted(elsewhere.mountPoint)}`);
    if (rootPath !== place) throw new Refused(`root.path is ${quoted(rootPath ?? '')}, not ${place}`);
    const other = storages.find((each) => !layers.includes(each) && isForRoot(each, places));
    if (other !== undefined)
      throw new Refused(
        `storage driver ${quoted(other.driver)} at ${quoted(other.mountPoint)} is none of them`,
      );
    return { kind: 'layers', layers: inOrder(layers.map(layerOf)) };
  } catch (error) {
    if (error instanceof Refused) return { kind: 'refused', why: error.message };
    throw error;
  }
}

/** Why a request is refused. */
class Refused extends Error {}

function isForRoot({ driver, mountPoint }: RequestedStorage, places: readonly string[]): boolean {
  const path = `/${mountPoint
    .split('/')
    .filter((name) => name !== '' && name !== '.')
    .join('/')}`;
  return driver === guestPull || driver === 'erofs.multi-layer' || places.includes(path);
}

/** A layer with what decides its order. */
interface Found {
  readonly layer: VerifiedLayer;
  /** The disk that it is on, or a part of. */
  readonly disk: string;
  /** Number of its partition; undefined: the whole disk. */
  readonly partition: number | undefined;
}

/** Options that each layer has; the file system is mounted with fixed ones. */
const fixedOptions: ReadonlySet<string> = new Set([
  'ro',
  layerMark,
  'X-kata.overlay-lower',
  'X-kata.gpt-partitioned=true',
  'X-kata.dmverity-enabled=true',
  'X-kata.dmverity.algorithm=sha256',
  'X-kata.dmverity.hashtype=1',
  `X-kata.dmverity.blocksize=${blockSize}`,
  `X-kata.dmverity.hashsize=${blockSize}`,
]);

/** Options with a value that is checked below. */
const valueOptions: readonly string[] = [
  'X-kata.partition-number',
  'X-kata.dmverity.roothash',
  'X-kata.dmverity.hashoffset',
  'X-kata.dmverity.salt',
  'X-kata.dmverity.no-superblock',
];

/** Directories of the upper, with a mode and owners that are ignored. Another one would hide files of the layers. */
const madeInUpper = /^X-kata\.mkdir\.path=\{\{ mount 0 \}\}\/(?:upper|work)(?::[0-9:]*)?$/;

function layerOf(storage: RequestedStorage): Found {
  const { driver, driverOptions, source, fstype, options, shared, fsGroup } = storage;
  if (fstype === 'ext4' || options.includes('X-kata.overlay-upper'))
    throw new Refused('one of them takes the writes, a disk of the host; help: writes go to memory');
  if (fstype !== 'erofs') throw new Refused(`one of them has the file system ${quoted(fstype)}`);
  if (driver !== 'blk' && driver !== 'scsi')
    throw new Refused(`one of them has the storage driver ${quoted(driver)}`);
  if (driverOptions.length > 0 || shared || fsGroup !== undefined)
    throw new Refused('one of them has driver options or an fsGroup, or is shared');
  const values = new Map<string, string>();
  for (const option of options) {
    // They are for containerd.
    if (option.startsWith('X-containerd.') && !option.includes(',')) continue;
    if (fixedOptions.has(option) || madeInUpper.test(option)) continue;
    const at = option.indexOf('=');
    const name = option.slice(0, Math.max(at, 0));
    if (!valueOptions.includes(name) || values.has(name))
      throw new Refused(`one of them has the option ${quoted(option)}`);
    values.set(name, option.slice(at + 1));
  }
  if (!options.includes('X-kata.overlay-lower')) throw new Refused('X-kata.overlay-lower is missing');
  if (!options.includes('X-kata.dmverity-enabled=true'))
    throw new Refused('one of them has no dm-verity (X-kata.dmverity-enabled=true)');
  return {
    layer: verityOf(values),
    disk: JSON.stringify([driver, source]),
    partition: partitionOf(values, options.includes('X-kata.gpt-partitioned=true')),
  };
}

function verityOf(values: ReadonlyMap<string, string>): VerifiedLayer {
  const value = (name: string): string | undefined => values.get(`X-kata.dmverity.${name}`);
  const rootHash = value('roothash') ?? '';
  if (!/^[0-9a-f]{64}$/.test(rootHash))
    throw new Refused(`root hash ${quoted(rootHash)} is no SHA-256 in lower-case hex`);
  const salt = value('salt') ?? '-';
  if (salt !== '-' && !/^(?:[0-9a-f]{2}){1,256}$/.test(salt))
    throw new Refused(`salt ${quoted(salt)} is not lower-case hex`);
  const offset = value('hashoffset') ?? '';
  if (!/^[1-9]\d{0,14}$/.test(offset) || Number(offset) % blockSize !== 0)
    throw new Refused(`hashoffset ${quoted(offset)} is no number of blocks of ${blockSize} bytes`);
  if (!['true', 'false', undefined].includes(value('no-superblock')))
    throw new Refused('no-superblock is neither true nor false');
  return { rootHash, salt: salt === '-' ? '' : salt, dataBlocks: Number(offset) / blockSize };
}

function partitionOf(values: ReadonlyMap<string, string>, isPartitioned: boolean): number | undefined {
  const text = values.get('X-kata.partition-number');
  if (isPartitioned !== (text !== undefined) || (text !== undefined && !/^[1-9]\d{0,2}$/.test(text)))
    throw new Refused('the number of a partition is missing, or wrong');
  return text === undefined ? undefined : Number(text);
}

/** Returns the layers with the base first: partitions by their numbers, whole disks as in the request. */
function inOrder(found: readonly Found[]): readonly VerifiedLayer[] {
  const twice = found.some(({ disk, partition }, index) =>
    found.slice(index + 1).some((other) => other.disk === disk && other.partition === partition),
  );
  if (twice) throw new Refused('one disk or partition is named twice');
  const partitions = found.filter(({ partition }) => partition !== undefined);
  if (partitions.length > 0 && partitions.length < found.length)
    throw new Refused('some are partitions, and some whole disks');
  if (new Set(partitions.map(({ disk }) => disk)).size > 1)
    throw new Refused('they are partitions of several disks');
  const topmostFirst = found.toSorted((a, b) => (a.partition ?? 0) - (b.partition ?? 0));
  return topmostFirst.toReversed().map(({ layer }) => layer);
}

/** Returns what names one layer in rules: `ROOT_HASH/SALT/DATA_BLOCKS`. */
export function pinOf({ rootHash, salt, dataBlocks }: VerifiedLayer): string {
  return `${rootHash}/${salt}/${dataBlocks}`;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
