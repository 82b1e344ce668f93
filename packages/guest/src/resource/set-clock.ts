import type { Syscalls } from '@kata-agent/linux';
import { GuestError } from '../error/guest-error.js';

/** The time of SetGuestDateTime: seconds since 1970, and microseconds of the second. */
export interface DateTime {
  readonly seconds: bigint;
  readonly microseconds: bigint;
}

/** In the year 2262: later, nanoseconds since 1970 exceed a signed 64-bit integer. */
const lastSecond = 9_223_372_036n;

/** Sets the guest's clock. The agent's time-outs use the monotonic clock, which does not change (S16). */
export function setClock({ seconds, microseconds }: DateTime, syscalls: Syscalls): void {
  // A request without a time has 0.
  if (seconds <= 0n || seconds > lastSecond)
    throw new GuestError('invalid', `Sec ${seconds} must be from 1 to ${lastSecond}`);
  if (microseconds < 0n || microseconds > 999_999n)
    throw new GuestError('invalid', `Usec ${microseconds} must be from 0 to 999999`);
  syscalls.setRealTime(seconds, Number(microseconds) * 1000);
}
