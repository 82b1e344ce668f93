import { lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import type { GuestNodes } from './forms/form-context.js';

/** Reads /dev and /sys on every call: devices can be plugged and unplugged. Both are the kernel's, and never wait for the host. */
export function guestNodes(dev = '/dev', sys = '/sys'): GuestNodes {
  return {
    numberOf(path) {
      const node = join(dev, path.replace(/^\/dev\//, ''));
      const stat = lstatSync(node, { bigint: true, throwIfNoEntry: false });
      return stat?.isCharacterDevice() === true ? numberOf(stat.rdev) : undefined;
    },
    nameOf(number) {
      try {
        const uevent = readFileSync(join(sys, 'dev/char', number, 'uevent'), 'utf8');
        return /^DEVNAME=(.+)$/m.exec(uevent)?.[1];
      } catch (error) {
        if (hasCode(error, 'ENOENT', 'ENODEV')) return undefined;
        throw error;
      }
    },
  };
}

/** Decodes a device number as glibc encodes it (gnu_dev_major, gnu_dev_minor). */
function numberOf(device: bigint): string {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}
