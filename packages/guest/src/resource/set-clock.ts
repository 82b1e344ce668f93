import type { Syscalls } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';

/** What SetGuestDateTime carries: seconds since 1970, and microseconds below a second. */
export interface DateTime {
  readonly seconds: bigint;
  readonly microseconds: bigint;
}

/** The year 2262, where nanoseconds since 1970 leave 64 bits. */
const lastSecond = 9_223_372_036n;

/** Sets the guest's clock. Time-outs here are on the monotonic clock, which it does not move (S16). */
export function setClock({ seconds, microseconds }: DateTime, syscalls: Syscalls): void {
  // 0 is what a request has that says no time.
  if (seconds <= 0n || seconds > lastSecond)
    throw new GuestError('invalid', `Sec ${seconds} must be from 1 to ${lastSecond}`);
  if (microseconds < 0n || microseconds > 999_999n)
    throw new GuestError('invalid', `Usec ${microseconds} must be from 0 to 999999`);
  syscalls.setRealTime(seconds, Number(microseconds) * 1000);
}
