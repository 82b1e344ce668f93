import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  attachDisk,
  detachDisk,
  layerContent,
  layerImage,
  partitionedDisk,
  showPartitions,
  writableDisk,
} from '../harness/layer-disks.js';
import type { ListedCall } from './scenario-share.js';

/** Disks at the PCI addresses that the requests of a pod name, with roots of EROFS layers. */
export class PodDisks {
  readonly #devices = new Map<string, string>();
  readonly #directory: string;

  /**
   * Attaches the disks.
   *
   * @param directory for their files, not below `share`
   * @param share with the roots that `makeShare` made; each read-only disk has the files of all of them
   */
  constructor(directory: string, share: string, calls: readonly ListedCall[]) {
    this.#directory = directory;
    const content = layerContent(directory, {});
    const passthrough = join(share, 'passthrough');
    for (const id of readdirSync(passthrough, { withFileTypes: true }))
      if (/^[0-9a-f]{64}$/.test(id.name))
        execFileSync('cp', ['-a', `${join(passthrough, id.name, 'rootfs')}/.`, content]);
    const root = layerImage(directory, 'root', content);
    const layers = calls.flatMap(({ request }) => request.storages ?? []).filter(isLayer);
    for (const source of new Set(layers.map((layer) => layer.source))) {
      const storages = layers.filter((layer) => layer.source === source);
      const number = Math.max(...storages.map(partitionOf));
      const isWritable = storages.some(({ fstype }) => fstype === 'ext4');
      const device = attachDisk(
        isWritable
          ? writableDisk(directory, source)
          : number === 0
            ? root
            : partitionedDisk(directory, source, [root, ...this.#otherLayers(number - 1)]),
      );
      this.#devices.set(source, device);
      if (number > 0) showPartitions(device);
    }
  }

  #otherLayers(count: number): readonly string[] {
    return Array.from({ length: count }, (_, index) => {
      const content = layerContent(this.#directory, { [`layer${index}`]: '' });
      return layerImage(this.#directory, `layer${index}`, content);
    });
  }

  /** Files below the root bus in sysfs, for `pciBus`. */
  get files(): ReadonlyMap<string, string> {
    return new Map(
      [...this.#devices].map(([slot, device]) => [`0000:00:${slot}.0/block/${basename(device)}/size`, '']),
    );
  }

  detach(): void {
    for (const device of this.#devices.values()) detachDisk(device);
  }
}

type ListedStorage = NonNullable<ListedCall['request']['storages']>[number];

function isLayer({ options }: ListedStorage): boolean {
  return options.includes('X-kata.multi-layer=true');
}

/** 0: the whole disk. */
function partitionOf({ options }: ListedStorage): number {
  const option = options.find((each) => each.startsWith('X-kata.partition-number='));
  return Number(option?.split('=')[1] ?? 0);
}
