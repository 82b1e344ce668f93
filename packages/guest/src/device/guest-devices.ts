import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { type DeviceNumber, deviceNumber } from './device-number.js';

/** Character devices of the guest, as its kernel knows them. */
export interface GuestDevices {
  /** The number of a node below /dev; undefined: there is no character device of that path. */
  numberOf(path: string): DeviceNumber | undefined;
  /** The kernel's name of a device: `fuse`, `net/tun`; undefined: there is none of that number. */
  nameOf(number: DeviceNumber): string | undefined;
  /** All that there are now. */
  list(): readonly DeviceNumber[];
}

/** Reads /dev and /sys each time that it is asked: devices come and go. */
export function guestDevices({ dev, sys }: { readonly dev: string; readonly sys: string }): GuestDevices {
  const numbers = join(sys, 'dev/char');
  return {
    numberOf(path) {
      const node = join(dev, path.replace(/^\/dev\//, ''));
      const stat = lstatSync(node, { bigint: true, throwIfNoEntry: false });
      return stat?.isCharacterDevice() === true ? deviceNumber(stat.rdev) : undefined;
    },
    nameOf({ major, minor }) {
      try {
        const uevent = readFileSync(join(numbers, `${major}:${minor}`, 'uevent'), 'utf8');
        return /^DEVNAME=(.+)$/m.exec(uevent)?.[1];
      } catch (error) {
        if (hasCode(error, 'ENOENT', 'ENODEV')) return undefined;
        throw error;
      }
    },
    list: () =>
      readdirSync(numbers).flatMap((name) => {
        const [major = NaN, minor = NaN] = name.split(':').map(Number);
        return Number.isInteger(major) && Number.isInteger(minor) ? [{ major, minor }] : [];
      }),
  };
}

/**
 * Devices that speak for the guest to a verifier: whoever opens one can have evidence made of what it likes. They reach no
 * container, whatever the configuration says.
 */
const evidence = /^(?:tpm|tpm\d+|tpmrm\d+|vtpmx|sev|sev-guest|tdx_guest|tdx-guest|tdx-attest)$/;

/** The TPM's fixed number (Documentation/admin-guide/devices.txt): it may appear later. */
const firstTpm = '10:224';

/** Whether a path or number is, or will be, one of a device for evidence. */
export function isEvidence(
  device: DeviceNumber & { readonly path?: string },
  guest: Pick<GuestDevices, 'nameOf'>,
): boolean {
  const { path = '', major, minor } = device;
  const name = path.replace(/\/+/g, '/').replace(/^\/dev\//, '');
  if (evidence.test(name) || `${major}:${minor}` === firstTpm) return true;
  return evidence.test(guest.nameOf(device) ?? '');
}
