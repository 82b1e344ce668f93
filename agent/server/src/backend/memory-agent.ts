import type { Configuration } from '@kata-agent/config';
import type { Guest, MemoryAgent } from '@kata-agent/guest';

/** Starts the memory agent, whose code is loaded only if the configuration enables it. */
export async function loadMemoryAgent(
  { settings }: Pick<Configuration, 'settings'>,
  guest: Guest,
): Promise<MemoryAgent | undefined> {
  if (!settings.memAgentEnable) return undefined;
  const { MemoryAgent } = await import('@kata-agent/guest/memory-agent');
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
