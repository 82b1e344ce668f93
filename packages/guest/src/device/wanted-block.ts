import { GuestError } from '../guest-error.js';
import { blockAtPci, blockAtScsi, blockNamed, blockNameOf, type Wanted } from './find-device.js';
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

/**
 * A block device, found as its node in /dev. `address`: a PCI path (`blk`; a node below /dev is taken as it
 * is, since a disk that was there at boot may be named so), `target:lun` (`scsi`), or a node (`mmioblk`, `nvdimm`).
 */
export function wantedBlock(driver: BlockDriver, address: string): Wanted {
  if (driver === 'scsi') {
    const { target, lun } = parseScsiAddress(address);
    return {
      what: `a disk at SCSI address ${address}`,
      find: blockAtScsi(target, lun),
      prompt: ({ sys }) => scanScsi(target, lun, sys),
    };
  }
  if (driver === 'blk' && !address.startsWith('/'))
    return { what: `a disk at PCI path ${address}`, find: blockAtPci(parsePciPath(address)) };
  return { what: `the disk ${address}`, find: blockNamed(blockNameOf(address)) };
}
