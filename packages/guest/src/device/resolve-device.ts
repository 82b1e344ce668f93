import { GuestError } from '../guest-error.js';
import type { DeviceWatch } from './device-watch.js';
import { blockAtPci, blockAtScsi, blockNamed, blockNameOf } from './find-device.js';
import { parsePciPath } from './pci-path.js';
import { parseScsiAddress, scanScsi } from './scsi-bus.js';

/** How a request names a block device: by the words of `driver` or `type`, and the address that goes with each. */
export type BlockDriver = 'blk' | 'mmioblk' | 'scsi' | 'nvdimm';

/** The word in `Device.type` and `Storage.driver` (Kata 4.1, src/libs/kata-types/src/device.rs). */
export const blockDrivers: readonly BlockDriver[] = ['blk', 'mmioblk', 'scsi', 'nvdimm'];

/** Kinds of device that the runtimes know and this agent does not: said by name, and listed in differences.md. */
const refusedKinds: ReadonlySet<string> = new Set([
  'blk-ccw',
  'vfio',
  'vfio-pci',
  'vfio-pci-gk',
  'vfio-ap',
  'vfio-ap-cold',
  'vfio-mdev',
]);

function isBlockDriver(text: string): text is BlockDriver {
  return (blockDrivers as readonly string[]).includes(text);
}

/** Throws for a kind of device that is not handled. */
export function blockDriverOf(kind: string): BlockDriver {
  if (isBlockDriver(kind)) return kind;
  if (refusedKinds.has(kind))
    throw new GuestError(
      'unimplemented',
      `devices of type ${kind} are not built yet (docs/reference/differences.md)`,
    );
  const known = blockDrivers.join(', ');
  throw new GuestError(
    'invalid',
    `device type ${JSON.stringify(kind.slice(0, 40))} is not known; there are ${known}`,
  );
}

export interface ResolveContext {
  readonly watch: DeviceWatch;
  /** `/sys`. */
  readonly sys: string;
}

/**
 * The node in /dev of a block device, once it is there. `address`: a PCI path (`blk`; a node below /dev is taken as it
 * is, since a disk that was there at boot may be named so), `target:lun` (`scsi`), or a node (`mmioblk`, `nvdimm`).
 */
export async function resolveBlock(
  driver: BlockDriver,
  address: string,
  { watch, sys }: ResolveContext,
): Promise<string> {
  if (driver === 'scsi') {
    const { target, lun } = parseScsiAddress(address);
    scanScsi(target, lun, sys);
    return watch.waitFor(`a disk at SCSI address ${address}`, blockAtScsi(target, lun));
  }
  if (driver === 'blk' && !address.startsWith('/'))
    return watch.waitFor(`a disk at PCI path ${address}`, blockAtPci(parsePciPath(address)));
  const name = blockNameOf(address);
  return watch.waitFor(`the disk ${address}`, blockNamed(name));
}
