import { create } from '@bufbuild/protobuf';
import type { Configuration } from '@kata-agent/config';
import type { Decision } from '@kata-agent/gate';
import { GuestError } from '@kata-agent/guest';
import { ReadStreamResponseSchema } from '@kata-agent/protocol/agent';
import { Code, type Refusal, TtrpcError } from '@kata-agent/ttrpc';
import { setTimeout as delay } from 'node:timers/promises';
import { streamOf } from '../readers.js';

/** How long a refused GetOOMEvent is answered late: runtime-rs repeats it at once, for ever (S28). */
const oomEventDelayMs = 1_000;

/**
 * What a refused caller is answered: UNIMPLEMENTED when the lists do not serve the method, PERMISSION_DENIED when they do
 * and a rule refused this request (R6). A refused read may be answered with the end of file instead (R15).
 */
export function refusal(
  decision: Decision,
  onDeniedRead: Configuration['api']['onDeniedRead'],
): Refusal | Promise<Refusal> {
  const { method } = decision;
  if (streamOf(method) !== undefined && (decision.onDeniedRead ?? onDeniedRead) === 'eof') {
    return { reply: create(ReadStreamResponseSchema) };
  }
  const error = statusOf(decision);
  // The wait holds no process back from ending.
  return method === 'GetOOMEvent' ? delay(oomEventDelayMs, { error }, { ref: false }) : { error };
}

/** How a call fails that was let through, had to wait, and is refused now that its turn has come. */
export function refusedInTurn(decision: Decision): GuestError {
  const kind = decision.rule === undefined ? 'unimplemented' : 'refused';
  return new GuestError(kind, statusOf(decision).message);
}

function statusOf({ method, rule, message, reason }: Decision): TtrpcError {
  if (rule === undefined)
    return new TtrpcError(Code.Unimplemented, `${method} is not served here: ${reason}`);
  // The reason names the rule and its place, and says when it could not even be evaluated.
  const why = message === undefined ? reason : `${reason}: ${message}`;
  return new TtrpcError(Code.PermissionDenied, `${method} is refused here: ${why}`);
}
