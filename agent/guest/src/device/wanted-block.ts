import { unbuiltNames } from '@kata-agent/catalogue/request-features';
import { GuestError } from '../error/guest-error.js';
import { blockAtPci, blockAtScsi, blockNamed, blockNameOf, type Wanted } from './find-device.js';
import { parsePciPath } from './pci-path.js';
import { vfioTypes } from './vfio-request.js';
import { parseScsiAddress } from './scsi-bus.js';
import { quotedWord } from '../quoted.js';

/** A block device of a request: `driver` or `type`, and the address in the form of that kind. */
export type BlockDriver = 'blk' | 'mmioblk' | 'scsi' | 'nvdimm';

/** The word in `Device.type` and `Storage.driver` (Kata 4.1, src/libs/kata-types/src/device.rs). */
export const blockDrivers: readonly BlockDriver[] = ['blk', 'mmioblk', 'scsi', 'nvdimm'];

/**
 * Kinds of device that the runtimes have and this agent does not support: named in the error, and listed in
 * differences.md.
 */
const refusedKinds = unbuiltNames('device type');

/** Kinds that a request can have on other machines than s390x. */
const anywhere: ReadonlySet<string> = new Set(['vfio', 'vfio-mdev']);

function isBlockDriver(text: string): text is BlockDriver {
  return (blockDrivers as readonly string[]).includes(text);
}

/** Throws for an unsupported kind of device. */
export function blockDriverOf(kind: string): BlockDriver {
  if (isBlockDriver(kind)) return kind;
  if (refusedKinds.has(kind)) {
    const more = anywhere.has(kind)
      ? 'help: attach a PCI device as vfio-pci or vfio-pci-gk'
      : 'they exist on s390x only';
    throw new GuestError('unimplemented', `devices of type ${kind} are not supported; ${more}`);
  }
  const known = [...blockDrivers, ...vfioTypes].join(', ');
  throw new GuestError('invalid', `device type ${quotedWord(kind)} is not known; help: use one of ${known}`);
}

/**
 * Describes a block device to find. `address`: a PCI path (`blk`, which also accepts a node below /dev, for a disk that was
 * present at boot), `target:lun` (`scsi`), or a node (`mmioblk`, `nvdimm`).
 */
export function wantedBlock(driver: BlockDriver, address: string): Wanted {
  if (driver === 'scsi') {
    const { target, lun } = parseScsiAddress(address);
    return {
      what: `a disk at SCSI address ${address}`,
      find: blockAtScsi(target, lun),
      prompt: ({ sys }, media) => media.run('scanScsi', { target, lun, sys }),
    };
  }
  if (driver === 'blk' && !address.startsWith('/'))
    return { what: `a disk at PCI path ${address}`, find: blockAtPci(parsePciPath(address)) };
  return { what: `the disk ${address}`, find: blockNamed(blockNameOf(address)) };
}
