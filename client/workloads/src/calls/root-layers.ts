import { sharedDirectory } from '@kata-agent/catalogue';
import type { VerifiedLayer } from '@kata-agent/catalogue/requested-root';
import { create } from '@bufbuild/protobuf';
import { type Storage, StorageSchema } from '@kata-agent/protocol/agent';
import type { ImageConfig } from '../pod/container-image.js';
import type { RuntimeSetup } from './runtime-setup.js';

/** Marks a storage as a layer of the container's root. */
export const layerOption = 'X-kata.multi-layer=true';

/** Blocks before the hash tree, and salt, of a sample; a request has those of its layer. */
const sample = { dataBlocks: 1 << 12, salt: '0'.repeat(64) };

/** Returns where runtime-rs has the root of a container: shared by the host, or combined from layers in the guest. */
export function passthroughRoot(container: string): string {
  return `${sharedDirectory}/passthrough/${container}/rootfs`;
}

/** The partition of a layer: the lowest number is the topmost layer. */
export function partitionOption(number: number | string): string {
  return `X-kata.partition-number=${number}`;
}

/**
 * Reports whether writes to the root go to a disk of the host if containerd provides one. It could hide any file of the
 * image, which the root hashes of the image must exclude, and a confidential guest writes to its own memory only.
 */
export function mayWriteToDisk(
  { guest, verifiedLayers }: RuntimeSetup,
  image: Partial<ImageConfig>,
): boolean {
  return guest !== 'confidential' && verifiedLayers === undefined && (image.rootHashes ?? []).length === 0;
}

/**
 * Returns the storages that runtime-rs makes of an image of containerd's EROFS snapshotter: a writable disk, and the
 * layers, which are one disk or its partitions, topmost first.
 *
 * Source: `ErofsMultiLayerRootfs` in `crates/resource/src/rootfs/erofs_rootfs.rs` of runtime-rs, and
 * `generate_dmverity_options` in `libs/kata-types/src/gpt_disk.rs`, of Kata Containers 4.1.0.
 *
 * @param position of the container in its pod, for sample addresses
 * @param verified the layers of the image if they are known, the base first
 */
export function layerStorages(
  container: string,
  image: Partial<ImageConfig>,
  setup: RuntimeSetup,
  position: number,
  verified?: readonly VerifiedLayer[],
): readonly Storage[] {
  const storage = (source: string, fstype: string, options: readonly string[]): Storage =>
    create(StorageSchema, {
      driver: 'blk',
      source,
      fstype,
      options: [...options],
      mountPoint: passthroughRoot(container),
    });
  const slot = (number: number): string => number.toString(16).padStart(2, '0');
  const writable = storage(slot(8 + (position % 24)), 'ext4', ['rw', 'X-kata.overlay-upper', layerOption]);
  const lower = ['X-kata.overlay-lower', layerOption];
  const hashed = (verified ?? (image.rootHashes ?? []).map((rootHash) => ({ rootHash, ...sample })))
    .toReversed()
    .map(({ rootHash, salt, dataBlocks }, index) => [
      partitionOption(index + 1),
      'X-kata.dmverity-enabled=true',
      `X-kata.dmverity.roothash=${rootHash}`,
      `X-kata.dmverity.hashoffset=${dataBlocks * 4096}`,
      'X-kata.dmverity.no-superblock=false',
      `X-kata.dmverity.salt=${salt === '' ? '-' : salt}`,
    ]);
  const count = image.layers ?? 1;
  const partitions =
    hashed.length > 0 ? hashed : Array.from({ length: count }, (_, index) => [partitionOption(index + 1)]);
  const whole = [storage('03', 'erofs', ['ro', ...lower])];
  const parted = partitions.map((options) =>
    storage('04', 'erofs', [...lower, 'X-kata.gpt-partitioned=true', ...options]),
  );
  return [...(mayWriteToDisk(setup, image) ? [writable] : []), ...(partitions.length > 1 ? parted : whole)];
}
