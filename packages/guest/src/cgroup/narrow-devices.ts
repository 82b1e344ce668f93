import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OciDeviceRule } from '../oci-spec.js';
import type { CgroupPaths } from './cgroup-paths.js';

/** /dev/net/tun, which runc before 1.2 opens for every container. */
const tun = { major: 10, minor: 200 };

/**
 * runc lets every container make nodes of any block device (`b *:* m`), whatever its spec says, and before 1.2 open
 * /dev/net/tun. On v1 that is taken back here, before the container runs (S11). On v2 the rules are a program that runc has
 * loaded; there a block device can be made but not opened, and a tun device is of no use without CAP_NET_ADMIN.
 */
export function narrowDevices(paths: CgroupPaths, rules: readonly OciDeviceRule[]): void {
  if (paths.version === 2) return;
  const directory = paths.controllers.get('devices');
  if (directory === undefined) return;
  const deny = (what: string): void => writeFileSync(join(directory, 'devices.deny'), what, { flag: 'r+' });
  deny('b *:* rwm');
  if (!rules.some(opensTun)) deny(`c ${tun.major}:${tun.minor} rw`);
}

function opensTun({ allow, type, major = -1, minor = -1, access = 'rwm' }: OciDeviceRule): boolean {
  const matches = (number: number, wanted: number): boolean => number === -1 || number === wanted;
  return allow && type === 'c' && access !== 'm' && matches(major, tun.major) && matches(minor, tun.minor);
}
