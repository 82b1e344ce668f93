import type { Syscalls } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';

/** The time of SetGuestDateTime: seconds since 1970, and microseconds of the second. */
export interface DateTime {
  readonly seconds: bigint;
  readonly microseconds: bigint;
}

/** The guest's clock; times are in milliseconds since 1970. */
export interface GuestClock {
  /** The time before which the clock is never set, nor is it set back; undefined: any time is set. */
  readonly floor: number | undefined;
  now(): number;
}

/** The time of the clock before and after a call; equal if the clock was left as it was. */
export interface ClockChange {
  readonly before: number;
  readonly after: number;
}

/** In the year 2262: later, nanoseconds since 1970 exceed a signed 64-bit integer. */
const lastSecond = 9_223_372_036n;

/**
 * Sets the guest's clock. The agent's time-outs use the monotonic clock, which does not change (S16).
 *
 * With a floor, an earlier time counts as the floor, and a time that is not after the current one changes nothing. That
 * is not an error: Kata's runtime, which sets the time after it has resumed a virtual machine, would stop it.
 */
export function setClock(time: DateTime, clock: GuestClock, syscalls: Syscalls): ClockChange {
  checkTime(time);
  const before = clock.now();
  const wanted = wholeMilliseconds(time);
  if (clock.floor === undefined || (wanted >= clock.floor && wanted > before)) {
    syscalls.setRealTime(time.seconds, Number(time.microseconds) * 1000);
    return { before, after: wanted };
  }
  if (clock.floor <= before) return { before, after: before };
  setTime(clock.floor, syscalls);
  return { before, after: clock.floor };
}

/** Sets the clock to a time in milliseconds since 1970. */
function setTime(time: number, syscalls: Syscalls): void {
  syscalls.setRealTime(BigInt(Math.floor(time / 1000)), (time % 1000) * 1_000_000);
}

function checkTime({ seconds, microseconds }: DateTime): void {
  // A request without a time has 0.
  if (seconds <= 0n || seconds > lastSecond)
    throw new GuestError('invalid', `Sec ${seconds} must be from 1 to ${lastSecond}`);
  if (microseconds < 0n || microseconds > 999_999n)
    throw new GuestError('invalid', `Usec ${microseconds} must be from 0 to 999999`);
}

/** The clock that `now` returns is truncated likewise, so a later millisecond is after the current time. */
function wholeMilliseconds({ seconds, microseconds }: DateTime): number {
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
}
