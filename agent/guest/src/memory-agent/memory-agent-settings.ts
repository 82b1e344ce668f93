import { GuestError } from '../guest-error.js';

/** Limits the sizes that are stored for each container. */
const maxColdRounds = 1000;

/** How cold memory of containers is reclaimed: the settings `mem_agent_memcg_*`. */
export interface ReclaimSettings {
  readonly disabled: boolean;
  /** Whether anonymous memory may be swapped out. */
  readonly swap: boolean;
  /** The swappiness of a reclaim, 0 to 200; used only with `swap`. */
  readonly swappinessMax: number;
  readonly periodSeconds: number;
  /** Pressure of a container since the last round, in percent, above which the round skips it. */
  readonly periodPressureLimit: number;
  /** Pressure of a container during its reclaim, in percent, above which the reclaim stops. */
  readonly evictionPressureLimit: number;
  /** Number of rounds for which memory must have been cold. */
  readonly coldRounds: number;
}

/** How free memory is compacted: the settings `mem_agent_compact_*`. */
export interface CompactSettings {
  readonly disabled: boolean;
  readonly periodSeconds: number;
  /** Pressure of the guest since the last round, in percent, above which the round is skipped. */
  readonly periodPressureLimit: number;
  /** Pressure of the guest during a compaction, in percent, above which the compaction is stopped. */
  readonly pressureLimit: number;
  readonly secondsMax: number;
  /** Compaction aims at free blocks of at least 2^order pages. */
  readonly order: number;
  /** Change in pages since the last compaction above which another one is worth while: see `isWorthWhile`. */
  readonly threshold: number;
  /** Rounds that may be skipped before one is forced; `max`: none is ever forced. */
  readonly forceTimes: number | 'max';
}

interface Range {
  readonly name: string;
  readonly value: number | undefined;
  readonly min: number;
  readonly max: number;
}

/** Checks the numbers of a request, which can have any value; the settings' own limits do not apply to it. Names are the protocol's. */
export function checkReclaimChange(change: Partial<ReclaimSettings>): void {
  checkRanges([
    { name: 'swappiness_max', value: change.swappinessMax, min: 0, max: 200 },
    { name: 'period_secs', value: change.periodSeconds, min: 1, max: Number.MAX_SAFE_INTEGER },
    { name: 'period_psi_percent_limit', value: change.periodPressureLimit, min: 0, max: 100 },
    { name: 'eviction_psi_percent_limit', value: change.evictionPressureLimit, min: 0, max: 100 },
    { name: 'eviction_run_aging_count_min', value: change.coldRounds, min: 0, max: maxColdRounds },
  ]);
}

export function checkCompactChange(change: Partial<CompactSettings>): void {
  const forceTimes = change.forceTimes === 'max' ? undefined : change.forceTimes;
  checkRanges([
    { name: 'period_secs', value: change.periodSeconds, min: 1, max: Number.MAX_SAFE_INTEGER },
    { name: 'period_psi_percent_limit', value: change.periodPressureLimit, min: 0, max: 100 },
    { name: 'compact_psi_percent_limit', value: change.pressureLimit, min: 0, max: 100 },
    { name: 'compact_sec_max', value: change.secondsMax, min: 0, max: Number.MAX_SAFE_INTEGER },
    { name: 'compact_order', value: change.order, min: 0, max: 255 },
    { name: 'compact_threshold', value: change.threshold, min: 0, max: Number.MAX_SAFE_INTEGER },
    { name: 'compact_force_times', value: forceTimes, min: 0, max: Number.MAX_SAFE_INTEGER },
  ]);
}

function checkRanges(ranges: readonly Range[]): void {
  for (const { name, value, min, max } of ranges) {
    if (value === undefined || (value >= min && value <= max)) continue;
    throw new GuestError('invalid', `${name} is ${value}; it must be from ${min} to ${max}`);
  }
}
