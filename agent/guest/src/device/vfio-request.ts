import { GuestError } from '../error/guest-error.js';
import { quotedWord } from '../quoted.js';
import type { AttachedDevice } from '../request/actions.js';
import type { Wanted } from './find-device.js';
import { pciAddress } from './pci-address.js';
import { type PciPath, parsePciPath, pciDirectory } from './pci-path.js';

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
