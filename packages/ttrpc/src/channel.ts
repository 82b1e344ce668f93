import type { DescMethod, Message } from '@bufbuild/protobuf';
import type { ClientInterceptor } from './interceptor.js';
import type { Limits } from './limits.js';
import type { MetadataInit } from './metadata.js';

export interface ChannelOptions {
  readonly limits?: Partial<Limits>;
  /** Around every call, the first outermost. */
  readonly interceptors?: readonly ClientInterceptor[];
}

export interface CallOptions {
  /** Ends the call on this side with CANCELED. ttRPC has no frame that would tell the server. */
  readonly signal?: AbortSignal;
  /** Told to the server and kept on this side too: DEADLINE_EXCEEDED. */
  readonly timeoutMs?: number;
  readonly metadata?: MetadataInit;
}

/** A client's connection. `call` and `stream` are what `createClient` is made of; all their errors are TtrpcErrors. */
export interface Channel {
  /** Resolves when the connection has gone, whatever the reason. */
  readonly closed: Promise<void>;
  /** Calls in flight end with CANCELED. */
  close(): void;
  /** A call that is answered with one message: unary or client-streaming. */
  call(
    method: DescMethod,
    requests: Message | AsyncIterable<Message>,
    options?: CallOptions,
  ): Promise<Message>;
  /**
   * A call that is answered with a stream. It is sent when the iteration begins; leaving the loop abandons it. What the
   * server still sends is then dropped.
   */
  stream(
    method: DescMethod,
    requests: Message | AsyncIterable<Message>,
    options?: CallOptions,
  ): AsyncIterable<Message>;
}
