import { statSync } from 'node:fs';

/** A device number, as the kernel, a container's spec and its cgroup use it. */
export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

/** Decodes `st_rdev`, where the bits of major and minor are interleaved (gnu_dev_major, glibc's sys/sysmacros.h). */
export function deviceNumber(rdev: bigint): DeviceNumber {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffff_ff00n);
  return { major: Number(major), minor: Number(minor) };
}

/** Returns the number of a device by its node in devtmpfs, in the guest's memory. */
export function numberOfNode(path: string): DeviceNumber {
  return deviceNumber(statSync(path, { bigint: true }).rdev);
}
