import type { Message } from '@bufbuild/protobuf';
import type { Metadata } from './metadata.js';
import type { TtrpcError } from './ttrpc-error.js';

/** A call as the server knows it before its payload is touched. C is the caller's own value for a connection. */
export interface CallInfo<C> {
  /** Full name, `package.Service`. */
  readonly service: string;
  readonly method: string;
  readonly connection: C;
  readonly metadata: Metadata;
  /** What the client allows, in ms; 0 or less: its time was over when it came. Undefined: no limit. */
  readonly timeoutMs: number | undefined;
  /** The request's message, encoded; for a client-streaming call usually empty. */
  readonly payload: Uint8Array;
}

/** How a call is turned away: with a status, or with a reply in the handler's place. */
export type Refusal = { readonly error: TtrpcError } | { readonly reply: Message };

/**
 * Decides whether a call may pass, before its payload is scanned and decoded; undefined lets it pass. It is asked for
 * every well-formed request, also for methods that are not served. If it throws or rejects, the call is refused.
 */
export type Admit<C> = (call: CallInfo<C>) => Refusal | undefined | Promise<Refusal | undefined>;

export interface HandlerContext<C> extends CallInfo<C> {
  /** Aborted when the deadline passes or the connection closes: nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/**
 * Stands between decoding and handler. A streaming call passes once: `request` is the message of a server-streaming
 * call and an empty one where the client streams; `next` resolves when the call has ended, with an empty message where
 * the server streams.
 */
export type ServerInterceptor<C> = (
  request: Message,
  context: HandlerContext<C>,
  next: (request: Message) => Promise<Message>,
) => Promise<Message>;

/** A call as a client's interceptor sees it. */
export interface ClientCallInfo {
  readonly service: string;
  readonly method: string;
  readonly metadata: Metadata;
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** As ServerInterceptor, on the client's side. */
export type ClientInterceptor = (
  request: Message,
  call: ClientCallInfo,
  next: (request: Message) => Promise<Message>,
) => Promise<Message>;

type Interceptor<T> = (
  request: Message,
  context: T,
  next: (request: Message) => Promise<Message>,
) => Promise<Message>;

/** Runs a call through interceptors, the first outermost. */
export function intercept<T>(
  interceptors: readonly Interceptor<T>[],
  request: Message,
  context: T,
  last: (request: Message) => Promise<Message>,
): Promise<Message> {
  const step = (index: number, message: Message): Promise<Message> => {
    const interceptor = interceptors[index];
    if (interceptor === undefined) return last(message);
    return interceptor(message, context, (next) => step(index + 1, next));
  };
  return step(0, request);
}
