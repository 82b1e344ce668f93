import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestDetails, GuestDetailsQuery } from './actions.js';
import { blockDrivers } from './device/wanted-block.js';
import { GuestError } from './guest-error.js';
import { storageDrivers } from './storage/storage-drivers.js';
import { readIfThere } from './read-if-there.js';

/** Facts about this guest, from sysfs below `sys` and from what is built in here. */
export function guestDetails(query: GuestDetailsQuery, sys: string, seccomp: boolean): GuestDetails {
  const memory = join(sys, 'devices/system/memory');
  return {
    memoryBlockSize: query.memoryBlockSize ? memoryBlockSize(join(memory, 'block_size_bytes')) : 0,
    memoryHotplugProbe: query.memoryHotplugProbe && existsSync(join(memory, 'probe')),
    initDaemon: process.pid === 1,
    deviceHandlers: blockDrivers,
    storageHandlers: storageDrivers.map(({ name }) => name),
    supportsSeccomp: seccomp,
    extraFeatures: [],
  };
}

/** The kernel writes it in hexadecimal, without a prefix. Without the file it cannot hotplug memory: 0. */
function memoryBlockSize(path: string): number {
  const text = readIfThere(path);
  if (text === undefined) return 0;
  if (!/^[0-9a-f]+$/i.test(text.trim())) {
    throw new GuestError(
      'internal',
      `${path} holds ${JSON.stringify(text)}, which is no size in hexadecimal`,
    );
  }
  return Number.parseInt(text, 16);
}
