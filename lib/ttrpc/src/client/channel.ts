import type { DescMethod, Message } from '@bufbuild/protobuf';
import type { ClientInterceptor } from '../interceptor.js';
import type { Limits } from '../limits.js';
import type { MetadataInit } from '../message/envelopes.js';

export interface ChannelOptions {
  readonly limits?: Partial<Limits>;
  /** Run around every call; the first is the outermost. */
  readonly interceptors?: readonly ClientInterceptor[];
}

export interface CallOptions {
  /** Ends the call locally with CANCELED. ttRPC has no cancel frame, so the server is not notified. */
  readonly signal?: AbortSignal;
  /** Sent to the server and enforced locally: the call ends with DEADLINE_EXCEEDED. */
  readonly timeoutMs?: number;
  readonly metadata?: MetadataInit;
}

/**
 * The client side of a connection. `createClient` is built on `call` and `stream`; every error they throw is a
 * TtrpcError.
 */
export interface Channel {
  /** Resolves when the connection is closed, for any reason. */
  readonly closed: Promise<void>;
  /** Reads no further messages until the promise resolves, so that they wait at the server. It must not reject. */
  holdUntil(released: Promise<void>): void;
  /** Closes the connection. Calls in flight end with CANCELED. */
  close(): void;
  /** Starts a call with one response message: unary or client-streaming. */
  call(
    method: DescMethod,
    requests: Message | AsyncIterable<Message>,
    options?: CallOptions,
  ): Promise<Message>;
  /**
   * Starts a call with a stream of response messages. The request is sent when iteration begins. Leaving the loop
   * abandons the call; messages that arrive later are dropped.
   */
  stream(
    method: DescMethod,
    requests: Message | AsyncIterable<Message>,
    options?: CallOptions,
  ): AsyncIterable<Message>;
}
