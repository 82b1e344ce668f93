import { create } from '@bufbuild/protobuf';
import type { ListenerSettings } from '@kata-agent/config';
import type { Decision } from '@kata-agent/gate';
import { ReadStreamResponseSchema } from '@kata-agent/protocol/agent';
import { Code, type Refusal, TtrpcError } from '@kata-agent/ttrpc';
import { setTimeout as delay } from 'node:timers/promises';
import { streamOf } from '../readers.js';

/** The delay of the answer to a denied GetOOMEvent: runtime-rs repeats it at once, forever (S28). */
const oomEventDelayMs = 1_000;

/** Returns how a listener answers a denied read, if the rule that denies does not say. */
export type OnDeniedRead = (listener: string) => ListenerSettings['onDeniedRead'];

/**
 * Returns the answer to a denied call: UNIMPLEMENTED if the lists do not serve the method, PERMISSION_DENIED if they do
 * and a rule denied this request (R6). A denied read can be answered with end of file instead (R15): the rule decides, then the listener, then `[api]`.
 *
 * `kata-agent-ctl` parses the messages (lib/cli/src/program/refusal.ts).
 */
export function refusal(decision: Decision, onDeniedRead: OnDeniedRead): Refusal | Promise<Refusal> {
  const { method, listener } = decision;
  if (streamOf(method) !== undefined && (decision.onDeniedRead ?? onDeniedRead(listener)) === 'eof') {
    return { reply: create(ReadStreamResponseSchema) };
  }
  const error = statusOf(decision);
  // The timer does not keep the process running.
  return method === 'GetOOMEvent' ? delay(oomEventDelayMs, { error }, { ref: false }) : { error };
}

/** Returns the error for a denied call. */
export function statusOf({ method, rule, message, reason }: Decision): TtrpcError {
  if (rule === undefined)
    return new TtrpcError(Code.Unimplemented, `${method} is not served here: ${reason}`);
  // The reason names the rule and its position, and says if its evaluation failed.
  const why = message === undefined ? reason : `${reason}: ${message}`;
  return new TtrpcError(Code.PermissionDenied, `${method} is refused here: ${why}`);
}
