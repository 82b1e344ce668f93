import * as perform from '@kata-agent/guest';
import { VolumeUsage_Unit } from '@kata-agent/protocol/csi';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { Handler } from './handler.js';
import { storage } from './storage.js';

export const onlineCPUMem: Handler<'onlineCPUMem'> = async ({ guest }, { nbCpus, cpuOnly }) => {
  await perform.onlineCpuMem(guest, { cpus: nbCpus, cpuOnly });
  return {};
};

export const memHotplugByProbe: Handler<'memHotplugByProbe'> = async ({ guest }, { memHotplugProbeAddr }) => {
  await perform.probeMemory(guest, memHotplugProbeAddr);
  return {};
};

export const addSwap: Handler<'addSwap'> = async ({ guest }, { PCIPath }) => {
  await perform.addSwap(guest, PCIPath);
  return {};
};

export const addSwapPath: Handler<'addSwapPath'> = async ({ guest }, { path }) => {
  await perform.addSwapPath(guest, path);
  return {};
};

export const getMetrics: Handler<'getMetrics'> = async ({ guest }) => ({
  metrics: await perform.getMetrics(guest),
});

export const getVolumeStats: Handler<'getVolumeStats'> = async ({ guest }, { volumeGuestPath }) => ({
  usage: (await perform.volumeStats(guest, volumeGuestPath)).map(({ unit, total, used, available }) => ({
    unit: unit === 'bytes' ? VolumeUsage_Unit.BYTES : VolumeUsage_Unit.INODES,
    total,
    used,
    available,
  })),
  volumeCondition: { abnormal: false, message: 'OK' },
});

export const resizeVolume: Handler<'resizeVolume'> = async ({ guest }, { volumeGuestPath, size }) => {
  await perform.resizeVolume(guest, volumeGuestPath, size);
  return {};
};

export const setGuestDateTime: Handler<'setGuestDateTime'> = async ({ guest }, { Sec, Usec }) => {
  await perform.setClock(guest, { seconds: Sec, microseconds: Usec });
  return {};
};

export const reseedRandomDev: Handler<'reseedRandomDev'> = async ({ guest }, { data }) => {
  await perform.reseedRandom(guest, data);
  return {};
};

export const updateEphemeralMounts: Handler<'updateEphemeralMounts'> = async ({ guest }, { storages }) => {
  await perform.updateEphemeralMounts(guest, storages.map(storage));
  return {};
};

export const removeStaleVirtiofsShareMounts: Handler<'removeStaleVirtiofsShareMounts'> = async ({
  guest,
}) => {
  await perform.touchSharedMounts(guest);
  return {};
};

export const getDiagnosticData: Handler<'getDiagnosticData'> = async (
  { guest },
  { logType, containerId },
) => {
  if (logType !== 'termination_log') {
    const shown = JSON.stringify(logType.slice(0, 80));
    throw new TtrpcError(Code.InvalidArgument, `log_type ${shown} is not known; there is termination_log`);
  }
  return { data: await perform.terminationMessage(guest, containerId) };
};
