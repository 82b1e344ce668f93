import type { Fault } from './fault.js';
import type { FrameChannel } from './frame-channel.js';
import type { Admit, ServerInterceptor } from './interceptor.js';
import type { Limits } from './limits.js';
import type { QueueOwner } from './stream.js';
import type { TtrpcError } from './ttrpc-error.js';

/** What a server's call needs from its connection. */
export interface CallHost<C> extends QueueOwner {
  readonly connection: C;
  readonly channel: FrameChannel;
  readonly limits: Limits;
  readonly admit: Admit<C> | undefined;
  readonly interceptors: readonly ServerInterceptor<C>[];
  /** No other call is in flight: a frame need not wait for company. */
  readonly alone: boolean;
  report(fault: Fault<C>): void;
  answer(streamId: number, error: TtrpcError, alone: boolean): void;
  /** The handler of a call has ended: the call does not count any more. */
  settled(call: { readonly streamId: number }): void;
}
