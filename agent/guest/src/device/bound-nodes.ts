import { statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../error/guest-error.js';
import type { OciDevice } from '../request/oci-spec.js';
import { deviceNumber } from './device-number.js';

/**
 * Refuses devices of a container with a user namespace that the guest has not under the same path. Nobody creates
 * devices there, so the OCI runtimes bind the guest's own node with the container's path, whatever number it has.
 */
export function checkBoundNodes(devices: readonly OciDevice[], dev: string): void {
  for (const { path, major, minor, type } of devices) {
    if (type !== 'c' && type !== 'u' && type !== 'b') continue;
    const found = numberOf(join(dev, relative('/dev', path)));
    if (found === `${type === 'b' ? 'b' : 'c'} ${major}:${minor}`) continue;
    throw new GuestError(
      'precondition',
      `device ${path} (${type} ${major}:${minor}) cannot be passed to a container with a user namespace: the guest has ${found ?? 'no device'} at this path; help: request the device under the guest's own path, or remove the user namespace`,
    );
  }
}

function numberOf(path: string): string | undefined {
  try {
    const stat = statSync(path, { bigint: true });
    const { major, minor } = deviceNumber(stat.rdev);
    if (stat.isCharacterDevice()) return `c ${major}:${minor}`;
    return stat.isBlockDevice() ? `b ${major}:${minor}` : undefined;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}
