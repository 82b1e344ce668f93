import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { type DeviceNumber, deviceNumber } from './device-number.js';

/** The guest's character devices, from its kernel. */
export interface GuestDevices {
  /** Returns the number of a node below /dev; undefined: there is no character device at that path. */
  numberOf(path: string): DeviceNumber | undefined;
  /** Returns the kernel's name of a device: `fuse`, `net/tun`; undefined: there is no device with that number. */
  nameOf(number: DeviceNumber): string | undefined;
  /** Returns all character devices. */
  list(): readonly DeviceNumber[];
}

/** Reads /dev and /sys on every call: devices can be plugged and unplugged. */
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
 * Devices for attestation: a process that opens one can request evidence of its choice in the guest's name. No
 * container gets one, whatever the configuration says.
 */
const evidence = /^(?:tpm|tpm\d+|tpmrm\d+|vtpmx|sev|sev-guest|tdx_guest|tdx-guest|tdx-attest)$/;

/** The TPM's fixed number (Documentation/admin-guide/devices.txt): it may appear later. */
const firstTpm = '10:224';

/** Reports whether a path or number is, or can become, that of a device for attestation. */
export function isEvidence(
  device: DeviceNumber & { readonly path?: string },
  guest: Pick<GuestDevices, 'nameOf'>,
): boolean {
  const { path = '', major, minor } = device;
  const name = path.replace(/\/+/g, '/').replace(/^\/dev\//, '');
  if (evidence.test(name) || `${major}:${minor}` === firstTpm) return true;
  return evidence.test(guest.nameOf(device) ?? '');
}
