import type { Configuration } from '@kata-agent/config';
import { type Guest, MemoryAgent } from '@kata-agent/guest';

/** Starts the memory agent of a configuration; undefined: `mem_agent_enable` is off. */
export function startMemoryAgent({ settings }: Configuration, guest: Guest): MemoryAgent | undefined {
  if (!settings.memAgentEnable) return undefined;
  const agent = MemoryAgent.of(guest, {
    reclaim: {
      disabled: settings.memAgentMemcgDisable,
      swap: settings.memAgentMemcgSwap,
      swappinessMax: settings.memAgentMemcgSwappinessMax,
      periodSeconds: settings.memAgentMemcgPeriodSecs,
      periodPressureLimit: settings.memAgentMemcgPeriodPsiPercentLimit,
      evictionPressureLimit: settings.memAgentMemcgEvictionPsiPercentLimit,
      coldRounds: settings.memAgentMemcgEvictionRunAgingCountMin,
    },
    compact: {
      disabled: settings.memAgentCompactDisable,
      periodSeconds: settings.memAgentCompactPeriodSecs,
      periodPressureLimit: settings.memAgentCompactPeriodPsiPercentLimit,
      pressureLimit: settings.memAgentCompactPsiPercentLimit,
      secondsMax: settings.memAgentCompactSecMax,
      order: settings.memAgentCompactOrder,
      threshold: settings.memAgentCompactThreshold,
      forceTimes: settings.memAgentCompactForceTimes,
    },
  });
  agent.start();
  return agent;
}
