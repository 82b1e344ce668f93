import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { attachDeviceFilter, deviceFilter, type Syscalls } from '@kata-agent/linux';
import type { OciDeviceRule } from '../request/oci-spec.js';
import type { CgroupPaths } from './cgroup-paths.js';

/** Character devices that a runtime opens for every container: both /dev/net/tun, crun also the console of the guest. */
const opened = [
  { major: 10, minor: 200 },
  { major: 5, minor: 1 },
] as const;

/**
 * Denies access to devices that the runtime adds to the rules of every container: nodes of any block device (`b *:* m`),
 * /dev/net/tun (runc before 1.2, crun) and /dev/console (crun). Does so before the container runs (S11). On v2, where the
 * rules are a BPF program of the runtime, a second program denies them: the kernel allows what both allow. An update of
 * the container keeps both: runc's changes no devices, and crun's only if the resources have rules, which the agent omits.
 */
export function narrowDevices(paths: CgroupPaths, rules: readonly OciDeviceRule[], syscalls: Syscalls): void {
  const closed = opened.filter((device) => !rules.some((rule) => opens(rule, device)));
  if (paths.version === 2) {
    attachDeviceFilter(syscalls, paths.directory, deviceFilter(closed));
    return;
  }
  const directory = paths.controllers.get('devices');
  if (directory === undefined) return;
  const deny = (rule: string): void => writeFileSync(join(directory, 'devices.deny'), rule, { flag: 'r+' });
  deny('b *:* rwm');
  for (const { major, minor } of closed) deny(`c ${major}:${minor} rw`);
}

function opens(
  { allow, type, major = -1, minor = -1, access = 'rwm' }: OciDeviceRule,
  device: (typeof opened)[number],
): boolean {
  const matches = (number: number, wanted: number): boolean => number === -1 || number === wanted;
  return (
    allow && type === 'c' && access !== 'm' && matches(major, device.major) && matches(minor, device.minor)
  );
}
