import type { Configuration } from '@kata-agent/config';
import type { Guest } from '@kata-agent/guest';
import { MemoryAgent } from '@kata-agent/guest/memory-agent';

/** Starts the memory agent of a configuration. */
export function startMemoryAgent({ settings }: Pick<Configuration, 'settings'>, guest: Guest): MemoryAgent {
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
