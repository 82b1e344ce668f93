import { GuestError } from '../guest-error.js';

/** So many sizes are remembered for each container. */
const mostColdRounds = 1000;

/** How cold memory of containers is taken back: the settings `mem_agent_memcg_*`. */
export interface ReclaimSettings {
  readonly disabled: boolean;
  /** Whether memory without a file may be swapped out. */
  readonly swap: boolean;
  /** The highest swappiness asked for, 0 to 200; only with `swap`. */
  readonly swappinessMax: number;
  readonly periodSeconds: number;
  /** Pressure of a container since the last round, in percent, above which the round leaves it alone. */
  readonly periodPressureLimit: number;
  /** Pressure of a container while it is reclaimed from, in percent, above which that stops. */
  readonly evictionPressureLimit: number;
  /** Rounds for which memory must have been cold. */
  readonly coldRounds: number;
}

/** How free memory is made contiguous: the settings `mem_agent_compact_*`. */
export interface CompactSettings {
  readonly disabled: boolean;
  readonly periodSeconds: number;
  /** Pressure of the guest since the last round, in percent, above which the round is left out. */
  readonly periodPressureLimit: number;
  /** Pressure of the guest during a compaction, in percent, above which it is ended. */
  readonly pressureLimit: number;
  readonly secondsMax: number;
  /** Free blocks of at least 2^order pages are what is wanted. */
  readonly order: number;
  /** Pages in smaller free blocks, beyond those of the last compaction, that make another one worth while. */
  readonly threshold: number;
  /** Rounds that may be left out before one is forced; `max`: none ever is. */
  readonly forceTimes: number | 'max';
}

interface Range {
  readonly name: string;
  readonly value: number | undefined;
  readonly min: number;
  readonly max: number;
}

/** A request can carry any number where the settings' table has its own limits; `name` is the protocol's. */
export function checkReclaimChange(change: Partial<ReclaimSettings>): void {
  checkRanges([
    { name: 'swappiness_max', value: change.swappinessMax, min: 0, max: 200 },
    { name: 'period_secs', value: change.periodSeconds, min: 1, max: Number.MAX_SAFE_INTEGER },
    { name: 'period_psi_percent_limit', value: change.periodPressureLimit, min: 0, max: 100 },
    { name: 'eviction_psi_percent_limit', value: change.evictionPressureLimit, min: 0, max: 100 },
    { name: 'eviction_run_aging_count_min', value: change.coldRounds, min: 0, max: mostColdRounds },
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
