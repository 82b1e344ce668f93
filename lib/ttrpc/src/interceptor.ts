import type { Message } from '@bufbuild/protobuf';
import type { Metadata } from './message/envelopes.js';
import type { TtrpcError } from './status.js';

/** A call before its payload is decoded. C is the type of the owner's value for a connection. */
export interface CallInfo<C> {
  /** Full name: `package.Service`. */
  readonly service: string;
  readonly method: string;
  readonly connection: C;
  readonly metadata: Metadata;
  /** The client's timeout in ms; 0 or less when it had expired on arrival, undefined for no limit. */
  readonly timeoutMs: number | undefined;
  /** The encoded request message; usually empty for a client-streaming call. */
  readonly payload: Uint8Array;
}

/** How a call is rejected: with a status, or with a reply in place of the handler's. */
export type Refusal = { readonly error: TtrpcError } | { readonly reply: Message };

/**
 * Decides whether a call is admitted, before its payload is scanned and decoded; undefined admits it. Called for every
 * well-formed request, including those for methods that are not served. If it throws or rejects, the call is rejected.
 */
export type Admit<C> = (call: CallInfo<C>) => Refusal | undefined | Promise<Refusal | undefined>;

export interface HandlerContext<C> extends CallInfo<C> {
  /** Aborted when the deadline passes or the connection closes. */
  readonly signal: AbortSignal;
  /** Values that interceptors pass to each other and to the handler. */
  readonly values: ContextValues;
  /**
   * Returns undefined when there is room for more replies; otherwise a promise that resolves when the peer has taken those that
   * were written, or the connection has closed.
   */
  drained(): Promise<void> | undefined;
}

/**
 * Runs between decoding and handler, once per call. `request` is the message of a unary or server-streaming call, and
 * an empty message where the client streams. `next` resolves when the call has ended, with an empty message where the
 * server streams.
 */
export type ServerInterceptor<C> = (
  request: Message,
  context: HandlerContext<C>,
  next: (request: Message) => Promise<Message>,
) => Promise<Message>;

/** A call as passed to a client interceptor. */
export interface ClientCallInfo {
  readonly service: string;
  readonly method: string;
  readonly metadata: Metadata;
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** The client counterpart of ServerInterceptor. */
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

/** Runs a call through interceptors; the first is the outermost. */
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

/** The key of a value of one call. Keys are compared by identity. */
export interface ContextKey<T> {
  readonly name: string;
  /** Present in the type only. A function of T and to T, so that no key is taken for one of a wider or narrower type. */
  readonly type?: (value: T) => T;
}

/** Creates a key. `name` describes it where a key is printed. */
export function contextKey<T>(name: string): ContextKey<T> {
  return { name };
}

/** The values that interceptors and handlers attach to one call, each of the type of its key. */
export class ContextValues {
  readonly #values = new Map<object, unknown>();

  /** Returns undefined if there is no value. */
  get<T>(key: ContextKey<T>): T | undefined {
    return this.#values.get(key) as T | undefined;
  }

  /** Replaces an earlier value. */
  set<T>(key: ContextKey<T>, value: T): void {
    this.#values.set(key, value);
  }
}
