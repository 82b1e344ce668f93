import type { Fault } from '../fault.js';
import type { FrameChannel } from '../frame/frame-channel.js';
import type { Admit, ServerInterceptor } from '../interceptor.js';
import type { Limits } from '../limits.js';
import type { QueueOwner } from '../stream/stream.js';
import type { TtrpcError } from '../status/ttrpc-error.js';

/** The part of a connection that a server-side call uses. */
export interface CallHost<C> extends QueueOwner {
  readonly connection: C;
  readonly channel: FrameChannel;
  readonly limits: Limits;
  readonly admit: Admit<C> | undefined;
  readonly interceptors: readonly ServerInterceptor<C>[];
  /** No other call is in flight, so a frame is written at once instead of being batched. */
  readonly alone: boolean;
  report(fault: Fault<C>): void;
  answer(streamId: number, error: TtrpcError, alone: boolean): void;
  /** Reports that the handler of a call has ended: the call no longer counts as in flight. */
  settled(call: { readonly streamId: number }): void;
}
