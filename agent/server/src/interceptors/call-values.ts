import type { CallResult } from '@kata-agent/audit';
import type { Decision } from '@kata-agent/gate';
import type { ClockChange, PulledImage } from '@kata-agent/guest';
import { Management } from '@kata-agent/protocol/management';
import { type ContextKey, contextKey, type ContextValues, type HandlerContext } from '@kata-agent/ttrpc';
import type { Caller } from '../caller.js';

/** The number of a workload's bytes in a reply that is not decoded; set by the forwarder, recorded with the result. */
export const movedBytesKey: ContextKey<number> = contextKey<number>('moved bytes');

/** The sealed secrets that the data hub was asked for during a call, recorded with its result. */
const secretsKey: ContextKey<string[]> = contextKey<string[]>('secrets');

type RecordedImage = NonNullable<CallResult['image']>;

/** Set when the guest has got the root of a container itself, recorded with the result of the call. */
const imageKey: ContextKey<RecordedImage> = contextKey<RecordedImage>('image');

/** Set by the handler that sets the clock, recorded with its result. */
export const clockKey: ContextKey<ClockChange> = contextKey<ClockChange>('clock');

/** Resolves once a call's intent is on disk; the call may change something only after that (S19). */
type Begin = () => Promise<void>;

/** Set by the interceptor that records, used by the handlers. */
export const beginKey: ContextKey<Begin> = contextKey<Begin>('begin');

/** The service that is never gated: it reveals nothing and changes nothing. */
export const healthService = 'grpc.Health';

/** The service about the agent itself, which a listener serves by its `management`. */
export const managementService: string = Management.typeName;

/** The decision about a call: set by the rules, read by the audit log. */
export const decisionKey: ContextKey<Decision> = contextKey<Decision>('decision');

/** Throws if there is no decision: the call must not continue. */
export function decisionOf({ service, method, connection, values }: HandlerContext<Caller>): Decision {
  const decision = values.get(decisionKey);
  if (decision !== undefined) return decision;
  if (service !== healthService) throw new Error(`${method}: this call has no decision`);
  return { outcome: 'allow', method, listener: connection.listener, reason: 'Health is always served' };
}

/** Throws if the call is not recorded: it must not change anything. */
export function beginOf({ method, values }: HandlerContext<Caller>): Begin {
  const begin = values.get(beginKey);
  if (begin === undefined) throw new Error(`${method}: this call is not recorded`);
  return begin;
}

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

/**
 * Remembers the image of a call's container for its record, allowed or denied.
 *
 * @param image undefined: the pause container of the guest image.
 */
export function noteImage(values: ContextValues, image: PulledImage | undefined): void {
  if (image === undefined) return values.set(imageKey, { from: 'pause_bundle' });
  const { digest, manifestDigest, signatures } = image;
  values.set(imageKey, { from: 'pulled', digest, manifestDigest, signatures });
}

/** Returns the recorded form of the image of a call's container. */
export function imageOf(values: ContextValues): Pick<CallResult, 'image'> {
  const image = values.get(imageKey);
  return image === undefined ? {} : { image };
}

/** Remembers a sealed secret for the record of a call, whether it is got or not. */
export function noteSecret(values: ContextValues, name: string): void {
  const names = values.get(secretsKey);
  if (names === undefined) values.set(secretsKey, [name]);
  else names.push(name);
}

/** Returns the recorded form of the secrets of a call. */
export function secretsOf(values: ContextValues): Pick<CallResult, 'secrets'> {
  const names = values.get(secretsKey);
  return names === undefined ? {} : { secrets: { count: names.length, names } };
}
