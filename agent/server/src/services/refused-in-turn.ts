import type { Decision } from '@kata-agent/gate';
import { GuestError } from '@kata-agent/guest';
import { statusOf } from '../interceptors/refusal.js';

/** The error of a call that was allowed, had to wait, and is denied when its turn comes, or when the guest has its image. */
export function refusedInTurn(decision: Decision): GuestError {
  const kind = decision.rule === undefined ? 'unimplemented' : 'refused';
  return new GuestError(kind, statusOf(decision).message);
}
