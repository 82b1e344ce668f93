import { unbuiltNames } from '@kata-agent/catalogue/request-features';
import { GuestError } from '../guest-error.js';
import { quotedWord } from '../quoted.js';
import type { AttachedDevice } from '../request/actions.js';
import { blockAtPci, blockAtScsi, blockNamed, blockNameOf, type Wanted } from './find-device.js';
import { parsePciPath, pciAddress, pciDirectory, type PciPath } from './pci-path.js';

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

/** Parses `target:lun`, the runtimes' address of a SCSI disk. */
export function parseScsiAddress(text: string): { readonly target: number; readonly lun: number } {
  const match = /^(\d{1,3}):(\d{1,5})$/.exec(text);
  const [target, lun] = [Number(match?.[1] ?? Number.NaN), Number(match?.[2] ?? Number.NaN)];
  if (!(target <= 255 && lun <= 16_383)) {
    throw new GuestError('invalid', `SCSI address ${quotedWord(text)} must be TARGET:LUN, such as 0:1`);
  }
  return { target, lun };
}

/**
 * The types of PCI devices that the host passes through (Kata 4.1, src/libs/kata-types/src/device.rs): `vfio-pci` is for a
 * driver in the container, which gets the device's VFIO group; `vfio-pci-gk` is for a driver of the guest's kernel.
 */
export const vfioTypes = ['vfio-pci', 'vfio-pci-gk'] as const;

type VfioType = (typeof vfioTypes)[number];

/** A function of a PCI device that is passed through. */
interface PassedFunction {
  /** Its address on the host. */
  readonly host: string;
  readonly path: PciPath;
  /** Its directory in sysfs, by its path in the guest. */
  readonly directory: Wanted;
}

/** The functions that a device of a request consists of. */
export interface VfioRequest {
  readonly kind: VfioType;
  readonly containerPath: string;
  readonly functions: readonly PassedFunction[];
}

export function isVfioType(type: string): type is VfioType {
  return (vfioTypes as readonly string[]).includes(type);
}

/**
 * Parses a device whose options are `HOST_ADDRESS=GUEST_PATH`. One without a path is skipped: the runtime could not find
 * the path of a device that was there at boot, and its driver needs nothing of the agent.
 *
 * @throws GuestError `invalid`
 */
export function vfioRequest(kind: VfioType, { containerPath, options }: AttachedDevice): VfioRequest {
  return {
    kind,
    containerPath,
    functions: options.flatMap((option) => {
      const [address = '', path, ...more] = option.split('=');
      const host = pciAddress(address);
      if (host === undefined || path === undefined || more.length > 0)
        throw new GuestError(
          'invalid',
          `option ${quotedWord(option)} of a ${kind} device is not of the form HOST_ADDRESS=GUEST_PATH, such as 0000:1a:00.0=02/01`,
        );
      return path === '' ? [] : [passedFunction(host, path)];
    }),
  };
}

function passedFunction(host: string, text: string): PassedFunction {
  const path = parsePciPath(text);
  return {
    host,
    path,
    directory: { what: `a PCI device at path ${text}`, find: ({ sys }) => pciDirectory(path, sys) },
  };
}
