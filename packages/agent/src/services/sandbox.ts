import * as perform from '@kata-agent/guest';
import { version } from '../version.js';
import type { Handler } from './handler.js';
import { storage } from './storage.js';

export const createSandbox: Handler<'createSandbox'> = async ({ guest, moduleLock }, request) => {
  await perform.createSandbox(guest, {
    sandboxId: request.sandboxId,
    hostname: request.hostname,
    dns: request.dns,
    storages: request.storages.map(storage),
    guestHookPath: request.guestHookPath,
    kernelModules: request.kernelModules,
  });
  await moduleLock?.lock();
  return {};
};

/** Ends the agent: the virtual machine has no other purpose. */
export const destroySandbox: Handler<'destroySandbox'> = async ({ guest, end }) => {
  await perform.destroySandbox(guest);
  end();
  return {};
};

export const getGuestDetails: Handler<'getGuestDetails'> = async ({ guest }, request) => {
  const details = await perform.getGuestDetails(guest, {
    memoryBlockSize: request.memBlockSize,
    memoryHotplugProbe: request.memHotplugProbe,
  });
  return {
    memBlockSizeBytes: BigInt(details.memoryBlockSize),
    supportMemHotplugProbe: details.memoryHotplugProbe,
    agentDetails: {
      version,
      initDaemon: details.initDaemon,
      deviceHandlers: [...details.deviceHandlers],
      storageHandlers: [...details.storageHandlers],
      supportsSeccomp: details.supportsSeccomp,
      extraFeatures: [...details.extraFeatures],
    },
  };
};

export const getOOMEvent: Handler<'getOOMEvent'> = async ({ guest }, _request, context) => ({
  containerId: await perform.nextOomEvent(guest, context.signal),
});
