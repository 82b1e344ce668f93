import * as perform from '@kata-agent/guest';
import type { Handler } from './handler.js';

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
