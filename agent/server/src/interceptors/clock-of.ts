import type { CallResult } from '@kata-agent/audit';
import { type ContextKey, contextKey, type ContextValues } from '@kata-agent/ttrpc';
import type { ClockChange } from '@kata-agent/guest';

/** Set by the handler that sets the clock, recorded with its result. */
export const clockKey: ContextKey<ClockChange> = contextKey<ClockChange>('clock');

/** Returns the recorded form of a call's change of the clock. */
export function clockOf(values: ContextValues): Pick<CallResult, 'clock'> {
  const change = values.get(clockKey);
  if (change === undefined) return {};
  return {
    clock: {
      before: new Date(change.before).toISOString(),
      after: new Date(change.after).toISOString(),
    },
  };
}
