import type { Configuration } from '@kata-agent/config';
import type { Syscalls } from '@kata-agent/linux';
import { buildFacts } from '../build-facts.js';
import { CannotApply } from '../cannot-apply.js';
import type { Log } from '../log.js';

/** The floor of a program whose source has no known time: before any release of this agent. */
const earliest = Date.UTC(2026, 0, 1);

/**
 * Returns the earliest time of the guest's clock, in milliseconds since 1970. Undefined without a configuration: as with
 * Kata's agent, the clock is not changed, and the host sets it as it likes.
 */
export function clockFloor(
  { settings, documents }: Pick<Configuration, 'documents'> & { readonly settings: ClockSettings },
  { sourceTime }: Pick<typeof buildFacts, 'sourceTime'> = buildFacts,
): number | undefined {
  if (documents.length === 0) return undefined;
  return settings.clockFloor ?? (sourceTime === undefined ? earliest : sourceTime * 1000);
}

type ClockSettings = Pick<Configuration['settings'], 'clockFloor'>;

/** The facts of the first audit record; times as RFC 3339 in UTC. */
export interface ClockFacts {
  readonly floor: string;
  /** The time of the clock before it was raised to the floor; absent if it was not. */
  readonly raisedFrom?: string;
}

/**
 * Raises the guest's clock to its floor if the guest's kernel is the agent's own. Otherwise another program is
 * responsible for the clock, which may be that of a whole machine: a clock below the floor is a warning.
 *
 * @throws CannotApply if the clock cannot be set.
 */
export function raiseClock(
  floor: number,
  {
    syscalls,
    log,
    ownsKernel,
    now,
  }: {
    readonly syscalls: Pick<Syscalls, 'setRealTime'>;
    readonly log: Log;
    readonly ownsKernel: boolean;
    /** Returns the time in milliseconds since 1970. */
    readonly now: () => number;
  },
): ClockFacts {
  const before = now();
  const facts = { floor: textOf(floor) };
  if (before >= floor) return facts;
  const times = { clock: textOf(before), floor: facts.floor };
  if (!ownsKernel) {
    log('warn', 'the clock is below its floor: certificates are verified against a wrong time', times);
    return facts;
  }
  try {
    syscalls.setRealTime(BigInt(Math.floor(floor / 1000)), 0);
  } catch (error) {
    throw new CannotApply(`the clock cannot be raised to ${facts.floor}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  log('warn', 'the clock was below its floor, and was raised to it', times);
  return { ...facts, raisedFrom: times.clock };
}

function textOf(time: number): string {
  return new Date(time).toISOString();
}
