import * as perform from '@kata-agent/guest';
import { clockKey } from '../interceptors/call-values.js';
import { acceptPolicy } from '../policy/set-policy.js';
import { version } from '../version.js';
import { storage } from '../wire/storage.js';
import type { Handler } from './handler.js';

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

export const reseedRandomDev: Handler<'reseedRandomDev'> = async ({ guest }, { data }) => {
  await perform.reseedRandom(guest, data);
  return {};
};

export const setGuestDateTime: Handler<'setGuestDateTime'> = async ({ guest }, { Sec, Usec }, { values }) => {
  values.set(clockKey, await perform.setClock(guest, { seconds: Sec, microseconds: Usec }));
  return {};
};

/**
 * SetPolicy can only narrow what is served (S4), in this agent and in later agents of this boot. Output without permitted
 * readers is drained from then on (R15).
 */
export const setPolicy: Handler<'setPolicy'> = async ({ guest, policy, savedPolicies }, request) => {
  await acceptPolicy(request.policy, policy, savedPolicies, () => guest.reconsiderOutput());
  return {};
};
