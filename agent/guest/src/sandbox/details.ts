import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestDetails, GuestDetailsQuery } from '../request/actions.js';
import { blockDrivers, vfioTypes } from '../device/requested-devices.js';
import { GuestError } from '../guest-error.js';
import { storageDrivers } from '../storage/drivers/storage-drivers.js';
import { readIfThere } from '@kata-agent/base';

/** Returns facts about this guest, from sysfs below `sys` and from this build. */
export function guestDetails(query: GuestDetailsQuery, sys: string, seccomp: boolean): GuestDetails {
  const memory = join(sys, 'devices/system/memory');
  return {
    memoryBlockSize: query.memoryBlockSize ? memoryBlockSize(join(memory, 'block_size_bytes')) : 0,
    memoryHotplugProbe: query.memoryHotplugProbe && existsSync(join(memory, 'probe')),
    initDaemon: process.pid === 1,
    deviceHandlers: [...blockDrivers, ...vfioTypes],
    storageHandlers: storageDrivers.map(({ name }) => name),
    supportsSeccomp: seccomp,
    // Kata's names of features of a build (src/agent/src/features.rs), in alphabetical order.
    extraFeatures: ['agent-policy', ...(seccomp ? ['seccomp'] : [])],
  };
}

/** Parses a size in hexadecimal without a prefix. 0: the file does not exist, so the kernel cannot hotplug memory. */
function memoryBlockSize(path: string): number {
  const text = readIfThere(path)?.toString();
  if (text === undefined) return 0;
  if (!/^[0-9a-f]+$/i.test(text.trim())) {
    throw new GuestError(
      'internal',
      `${path} has ${JSON.stringify(text)}, which is not a size in hexadecimal`,
    );
  }
  return Number.parseInt(text, 16);
}
