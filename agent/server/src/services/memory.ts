import * as perform from '@kata-agent/guest';
import type { CompactSettings, MemoryAgent, ReclaimSettings } from '@kata-agent/guest';
import type { MemAgentCompactConfig, MemAgentMemcgConfig } from '@kata-agent/protocol/agent';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { Handler } from './handler.js';

export const memAgentMemcgSet: Handler<'memAgentMemcgSet'> = async ({ memoryAgent }, request) => {
  enabled(memoryAgent).setReclaim(reclaimChange(request));
  return {};
};

export const memAgentCompactSet: Handler<'memAgentCompactSet'> = async ({ memoryAgent }, request) => {
  enabled(memoryAgent).setCompact(compactChange(request));
  return {};
};

function enabled(memoryAgent: MemoryAgent | undefined): MemoryAgent {
  if (memoryAgent !== undefined) return memoryAgent;
  throw new TtrpcError(
    Code.Internal,
    'the memory agent does not run: start with mem_agent_enable = true ([agent])',
  );
}

function reclaimChange(request: MemAgentMemcgConfig): Partial<ReclaimSettings> {
  return given<ReclaimSettings>({
    disabled: request.disabled,
    swap: request.swap,
    swappinessMax: request.swappinessMax,
    periodSeconds: number(request.periodSecs),
    periodPressureLimit: request.periodPsiPercentLimit,
    evictionPressureLimit: request.evictionPsiPercentLimit,
    coldRounds: number(request.evictionRunAgingCountMin),
  });
}

/** Both numbers for "never forced" (Kata 4.1, src/libs/mem-agent/src/compact.rs). */
const never = 2n ** 63n - 1n;

function compactChange(request: MemAgentCompactConfig): Partial<CompactSettings> {
  const { compactForceTimes } = request;
  const isNever = compactForceTimes !== undefined && compactForceTimes >= never;
  return given<CompactSettings>({
    disabled: request.disabled,
    periodSeconds: number(request.periodSecs),
    periodPressureLimit: request.periodPsiPercentLimit,
    pressureLimit: request.compactPsiPercentLimit,
    secondsMax: number(request.compactSecMax),
    order: request.compactOrder,
    threshold: number(request.compactThreshold),
    forceTimes: isNever ? 'max' : number(compactForceTimes),
  });
}

function number(value: bigint | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}

/** Absent fields keep their values. */
function given<T extends object>(all: { readonly [K in keyof T]: T[K] | undefined }): Partial<T> {
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Partial<T>;
}

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
