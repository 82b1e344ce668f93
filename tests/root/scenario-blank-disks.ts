import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { basename, join } from 'node:path';
import { attachDisk, detachDisk } from '../harness/layer-disks.js';
import type { ListedCall } from './scenario-share.js';

/** The bridge of the disks, and the bus behind it. */
const bridge = '0000:00:00.0';
const bus = '0000:02';

/** Blank disks at the PCI addresses `00/SLOT` that the requests of a pod name: its emptyDirs, which the guest encrypts. */
export class BlankDisks {
  readonly #devices = new Map<string, string>();

  /** Attaches the disks. @param directory for their files */
  constructor(directory: string, calls: readonly ListedCall[]) {
    for (const { request } of calls)
      for (const { driver, source } of request.storages ?? []) {
        const [, slot] = (driver === 'blk' && /^00\/([0-9a-f]{2})$/.exec(source)) || [];
        if (slot === undefined || this.#devices.has(slot)) continue;
        const file = join(directory, `blank-${slot}.img`);
        const fd = openSync(file, 'wx');
        ftruncateSync(fd, 16 << 20);
        closeSync(fd);
        this.#devices.set(slot, attachDisk(file));
      }
  }

  /** Files below the root bus in sysfs, for `pciBus`. */
  get files(): ReadonlyMap<string, string> {
    if (this.#devices.size === 0) return new Map();
    return new Map([
      [`${bridge}/pci_bus/${bus}/x`, ''],
      ...[...this.#devices].map(
        ([slot, device]) => [`${bridge}/${bus}:${slot}.0/block/${basename(device)}/size`, ''] as const,
      ),
    ]);
  }

  detach(): void {
    for (const device of this.#devices.values()) detachDisk(device);
  }
}
