import { partitionOf, type Wanted } from '../device/find-device.js';
import { type BlockDriver, wantedBlock } from '../device/requested-devices.js';
import { GuestError } from '../guest-error.js';
import { quotedWord } from '../quoted.js';
import type { Storage } from '../request/actions.js';
import { isDiskOption } from './storage-options.js';
import { verityOf } from './drivers/verity.js';
import type { Verity } from './drivers/verity-table.js';
import { KataOptions } from './kata-options.js';
import { kernelOptions } from './mount-point.js';
import type { LayerDirectory } from './open-layers.js';

/** The driver of a root that consists of EROFS layers (Kata 4.1, src/agent/src/storage/multi_layer_erofs.rs). */
export const layersDriver = 'erofs.multi-layer';

/** As runtime-rs (`MAX_ROOTFS_LAYER_DEVICES` in erofs_rootfs.rs): 128 read-only layers and a writable one. */
const maxLayers = 129;

/** A layer: a disk, or a partition of one. */
export interface RootLayer {
  readonly wanted: Wanted;
  /** Options of its mount. */
  readonly options: readonly string[];
  readonly verity: Verity | undefined;
}

/** The layers of a root. */
export interface RootLayers {
  /** Absent: writes go to memory. */
  readonly upper: RootLayer | undefined;
  /** Topmost first. */
  readonly lowers: readonly RootLayer[];
  readonly directories: readonly LayerDirectory[];
}

/** Reports whether a storage of a request is one of several that are one root together. */
export function isRootLayer({ driver, options }: Storage): boolean {
  return driver === layersDriver || options.includes('X-kata.multi-layer=true');
}

/**
 * Replaces the layers among a request's storages by one storage that has them all, in the place of the first. Pure.
 *
 * @throws GuestError `invalid`: they have several mount points
 */
export function combineLayers(storages: readonly Storage[]): readonly Storage[] {
  const layers = storages.filter(isRootLayer);
  const [first] = layers;
  if (first === undefined) return storages;
  const { mountPoint } = first;
  const other = layers.find((layer) => layer.mountPoint !== mountPoint);
  if (other !== undefined)
    throw new GuestError(
      'invalid',
      `layers of a root have the mount points ${mountPoint} and ${other.mountPoint}; help: give all of them the same`,
    );
  const root: Storage = {
    driver: layersDriver,
    driverOptions: [],
    source: '',
    fstype: 'overlay',
    options: [],
    mountPoint,
    shared: false,
    layers,
  };
  return storages.flatMap((storage) => (storage === first ? [root] : isRootLayer(storage) ? [] : [storage]));
}

/** A layer with what decides its order. */
interface Found {
  readonly layer: RootLayer;
  readonly kind: 'upper' | 'lower';
  /** Number of its partition. */
  readonly partition: number | undefined;
  /** Equal for two storages that are the same partition, or the same whole disk. */
  readonly device: string;
}

/**
 * Returns the layers of a storage that `combineLayers` made. Partitions are in the order of their numbers, whole disks in
 * the order of the request: the first one is the topmost. Pure.
 *
 * @throws GuestError `invalid`, `refused`
 */
export function rootLayersOf({ layers = [] }: Storage): RootLayers {
  if (layers.length > maxLayers)
    throw invalid(`there are ${layers.length} of them, at most ${maxLayers} are allowed`);
  const found = layers.map(layerOf);
  const [upper, second] = found.filter(({ kind }) => kind === 'upper');
  if (second !== undefined) throw invalid('two of them are to take the writes (X-kata.overlay-upper)');
  const lowers = found.filter(({ kind }) => kind === 'lower');
  if (lowers.length === 0) throw invalid('none of them is read-only (X-kata.overlay-lower)');
  const twice = found.find(
    ({ device }, index) => found.findIndex((each) => each.device === device) !== index,
  );
  if (twice !== undefined) throw invalid(`${twice.layer.wanted.what} is named twice`);
  const numberOf = ({ partition }: Found): number => partition ?? Number.MAX_SAFE_INTEGER;
  return {
    upper: upper?.layer,
    lowers: lowers.toSorted((a, b) => numberOf(a) - numberOf(b)).map(({ layer }) => layer),
    directories: layers.flatMap(({ options }) =>
      KataOptions.parse(options, 'layer').all('mkdir.path').map(directoryOf),
    ),
  };
}

/** The drivers that Kata's agent accepts for a layer. */
function isLayerDriver(driver: string): driver is BlockDriver {
  return driver === 'blk' || driver === 'scsi';
}

function layerOf(storage: Storage): Found {
  const { driver, source, fstype, driverOptions, options, shared, fsGroup } = storage;
  if (!isLayerDriver(driver))
    throw invalid(`driver ${quotedWord(driver)} names no disk; help: use blk or scsi for each layer`);
  if (driverOptions.length > 0)
    throw invalid(`driver option ${quotedWord(driverOptions[0] ?? '')} is not for them`);
  if (shared || fsGroup !== undefined)
    throw invalid('they are of one container: neither shared nor with an fsGroup');
  const kata = KataOptions.parse(options, 'layer');
  if (!kata.has('multi-layer')) throw invalid('X-kata.multi-layer=true is missing');
  const kind = kindOf(fstype, kata);
  const disk = wantedBlock(driver, source);
  const partition = partitionNumber(kata);
  const verity = verityOf(kata);
  if (verity !== undefined && kind === 'upper')
    throw invalid('the one that takes the writes cannot be verified');
  return {
    layer: {
      wanted: partition === undefined ? disk : partitionOf(disk, partition),
      options: kernelOptions(options.filter(isForMount), (option) => isDiskOption(fstype, option)),
      verity,
    },
    kind,
    partition,
    device: JSON.stringify([driver, source, partition]),
  };
}

/** runtime-rs passes on options of the erofs snapshotter that are for containerd. */
function isForMount(option: string): boolean {
  return !option.startsWith('X-containerd.');
}

function kindOf(fstype: string, kata: KataOptions): 'upper' | 'lower' {
  const upper = kata.has('overlay-upper');
  const lower = kata.has('overlay-lower');
  if (upper && lower) throw invalid('one of them is both X-kata.overlay-upper and X-kata.overlay-lower');
  if (fstype === 'ext4' && !lower) return 'upper';
  if (fstype === 'erofs' && !upper) return 'lower';
  throw invalid(
    `file system ${quotedWord(fstype)} is neither erofs, for a read-only one, nor ext4, for one that takes the writes`,
  );
}

function partitionNumber(kata: KataOptions): number | undefined {
  const text = kata.get('partition-number');
  if (kata.has('gpt-partitioned') !== (text !== undefined))
    throw invalid('X-kata.gpt-partitioned=true and X-kata.partition-number are given together or not at all');
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text);
  throw invalid(`X-kata.partition-number=${quotedWord(text)} is no number of a partition`);
}

/** `PATH[:MODE[:UID[:GID]]]`, of which Kata's agent uses the path. A path without a placeholder is in the writable layer. */
function directoryOf(text: string): LayerDirectory {
  const [path = ''] = text.split(':', 1);
  const [, number, rest = ''] = /^\{\{ mount ([01]) \}\}(?:\/(.*))?$/.exec(path) ?? [undefined, '0', path];
  const names = rest.split('/').filter((name) => name !== '' && name !== '.');
  if (names.length === 0 || names.includes('..') || /[{}\0]/.test(rest))
    throw invalid(`X-kata.mkdir.path=${quotedWord(text)} names no directory in a layer`);
  return { in: number === '1' ? 'lower' : 'upper', path: names.join('/') };
}

function invalid(what: string): GuestError {
  return new GuestError('invalid', `layers of a root: ${what}`);
}
