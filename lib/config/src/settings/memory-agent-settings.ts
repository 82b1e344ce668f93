import type { AgentSettings } from './agent-settings.js';
import { boolean, countOrMax, integer } from '../value-types/scalars.js';
import { agentSetting, type Setting } from './setting.js';

type MemoryAgentKey = Extract<keyof AgentSettings, `memAgent${string}`>;

const percent = integer({ min: 0, max: 100, what: 'a percentage', name: 'percent' });
const count = integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const secondsU64 = integer({
  min: 0,
  max: Number.MAX_SAFE_INTEGER,
  what: 'a number of seconds',
  name: 'seconds',
});

const withoutGuest = 'the inner agent does this: set it there';

/** The rows of Kata's memory agent, which returns memory to the host. Names, types and defaults are Kata's. */
export const memoryAgentSettings: { readonly [P in MemoryAgentKey]: Setting<AgentSettings[P]> } = {
  memAgentEnable: agentSetting({
    key: 'mem_agent_enable',
    withoutGuest,
    type: boolean,
    default: false,
    purpose: 'Whether the memory agent runs.',
    example: 'true',
  }),
  memAgentMemcgDisable: agentSetting({
    key: 'mem_agent_memcg_disable',
    withoutGuest,
    type: boolean,
    default: false,
    purpose: 'Whether its reclaim by memory cgroup is off.',
    example: 'true',
  }),
  memAgentMemcgSwap: agentSetting({
    key: 'mem_agent_memcg_swap',
    withoutGuest,
    type: boolean,
    default: false,
    purpose: 'Whether that reclaim may swap.',
    example: 'true',
  }),
  memAgentMemcgSwappinessMax: agentSetting({
    key: 'mem_agent_memcg_swappiness_max',
    withoutGuest,
    type: integer({ min: 0, max: 200, what: 'a swappiness' }),
    default: 50,
    purpose: 'The highest swappiness that it uses.',
    example: '50',
  }),
  memAgentMemcgPeriodSecs: agentSetting({
    key: 'mem_agent_memcg_period_secs',
    withoutGuest,
    type: secondsU64,
    default: 600,
    purpose: 'Seconds between two rounds of reclaim by memory cgroup.',
    example: '600',
  }),
  memAgentMemcgPeriodPsiPercentLimit: agentSetting({
    key: 'mem_agent_memcg_period_psi_percent_limit',
    withoutGuest,
    type: percent,
    default: 1,
    purpose: 'Memory pressure, in percent, above which a round is left out.',
    example: '1',
  }),
  memAgentMemcgEvictionPsiPercentLimit: agentSetting({
    key: 'mem_agent_memcg_eviction_psi_percent_limit',
    withoutGuest,
    type: percent,
    default: 1,
    purpose: 'Memory pressure, in percent, above which eviction stops.',
    example: '1',
  }),
  memAgentMemcgEvictionRunAgingCountMin: agentSetting({
    key: 'mem_agent_memcg_eviction_run_aging_count_min',
    withoutGuest,
    type: count,
    default: 3,
    purpose: 'Aging rounds that a cgroup must have seen before its pages are evicted.',
    example: '3',
  }),
  memAgentCompactDisable: agentSetting({
    key: 'mem_agent_compact_disable',
    withoutGuest,
    type: boolean,
    default: false,
    purpose: 'Whether its memory compaction is off.',
    example: 'true',
  }),
  memAgentCompactPeriodSecs: agentSetting({
    key: 'mem_agent_compact_period_secs',
    withoutGuest,
    type: secondsU64,
    default: 600,
    purpose: 'Seconds between two rounds of compaction.',
    example: '600',
  }),
  memAgentCompactPeriodPsiPercentLimit: agentSetting({
    key: 'mem_agent_compact_period_psi_percent_limit',
    withoutGuest,
    type: percent,
    default: 1,
    purpose: 'Memory pressure, in percent, above which a round of compaction is left out.',
    example: '1',
  }),
  memAgentCompactPsiPercentLimit: agentSetting({
    key: 'mem_agent_compact_psi_percent_limit',
    withoutGuest,
    type: percent,
    default: 5,
    purpose: 'Memory pressure, in percent, above which compaction stops.',
    example: '5',
  }),
  memAgentCompactSecMax: agentSetting({
    key: 'mem_agent_compact_sec_max',
    withoutGuest,
    type: secondsU64,
    default: 300,
    purpose: 'The longest that one compaction may take, in seconds.',
    example: '300',
  }),
  memAgentCompactOrder: agentSetting({
    key: 'mem_agent_compact_order',
    withoutGuest,
    type: integer({ min: 0, max: 255, what: 'a page order' }),
    default: 9,
    purpose: 'The page order that compaction works for.',
    example: '9',
  }),
  memAgentCompactThreshold: agentSetting({
    key: 'mem_agent_compact_threshold',
    withoutGuest,
    type: count,
    default: 1024,
    purpose: 'Free pages of that order, in excess of the last round, that make a compaction worth while.',
    example: '1024',
  }),
  memAgentCompactForceTimes: agentSetting({
    key: 'mem_agent_compact_force_times',
    withoutGuest,
    type: countOrMax,
    default: 'max',
    purpose: 'Rounds that may be left out before one is forced.',
    example: '"max"',
  }),
};
