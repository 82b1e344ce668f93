import type { DescMethod, DescService, Message } from '@bufbuild/protobuf';
import type { CallOptions, Channel } from '../client/channel.js';
import type { CallInfo, HandlerContext } from '../interceptor.js';
import { opaqueMethod, opaqueReply } from '../frame/payload.js';
import type { MetadataInit } from '../message/envelopes.js';
import type { Handler, ServiceRegistration } from '../server/service.js';

/** The server that a call is forwarded to. */
export interface ForwardedCall {
  readonly channel: Channel;
  /** Sent instead of the caller's metadata; absent: none. */
  readonly metadata?: MetadataInit;
  /** Sent instead of the caller's request, by `inspectedService`; absent: that request. */
  readonly request?: Message;
}

/**
 * Registers a service whose calls another server answers: to a proxy, messages are bytes, which are passed on in both
 * directions unchanged, with unknown fields. The caller's timeout is passed on, and errors of the server are sent to the
 * caller with code, message and details.
 *
 * ttRPC cannot cancel a call. When the caller is gone, a unary call still lasts until the server's reply, so that limits and
 * interceptors count it as long as the server works; the responses of a stream are dropped.
 */
export function forwardedService<C>(
  descriptor: DescService,
  route: (call: CallInfo<C>) => ForwardedCall,
): ServiceRegistration<C> {
  const methods = descriptor.methods.map(opaqueMethod);
  const handlers = methods.map((method): [string, Handler<C>] => [
    method.name,
    (requests, context) => forward(method, requests as Requests, context, route(context)),
  ]);
  return { descriptor: { ...descriptor, methods }, handlers: new Map(handlers) };
}

/**
 * Registers a service whose calls another server answers, and whose requests the proxy reads. Interceptors get each request
 * decoded, and the server gets an encoding of exactly that, or of the request that `route` returns: bytes that another decoder
 * could read differently, such as repeated fields, are not passed on. A request with a field that the descriptor does not have is rejected, at any depth.
 * For the rest it is like `forwardedService`. While a caller does not take replies, no more are read from the channel of its calls:
 * callers must not share one.
 *
 * @param route may wait, for a connection for example, and can reject the call.
 * @param answered methods that the proxy answers itself.
 */
export function inspectedService<C>(
  descriptor: DescService,
  route: (call: HandlerContext<C>, request: Message | undefined) => Promise<ForwardedCall>,
  answered: ServiceRegistration<C>['handlers'] = new Map(),
): ServiceRegistration<C> {
  const methods = descriptor.methods.map((method) =>
    answered.has(method.name) ? method : opaqueReply(method),
  );
  const handlers = methods.map((method): [string, Handler<C>] => [
    method.name,
    answered.get(method.name) ?? inspectedHandler(method, route),
  ]);
  return { descriptor: { ...descriptor, methods }, handlers: new Map(handlers), unknownFields: 'refuse' };
}

type Requests = Message | AsyncIterable<Message>;

function inspectedHandler<C>(
  method: DescMethod,
  route: (call: HandlerContext<C>, request: Message | undefined) => Promise<ForwardedCall>,
): Handler<C> {
  return (requests, context) => {
    const sent = requests as Requests;
    const routed = route(context, '$typeName' in sent ? sent : undefined);
    return answersWithStream(method)
      ? streamed(method, sent, context, routed)
      : answered(method, sent, context, routed);
  };
}

async function answered<C>(
  method: DescMethod,
  sent: Requests,
  context: HandlerContext<C>,
  routed: Promise<ForwardedCall>,
): Promise<Message> {
  const { channel, metadata, request = sent } = await routed;
  try {
    return await channel.call(method, request, optionsOf(context, metadata));
  } finally {
    // Many calls can be in flight, and each reply can fill a frame: what the caller does not take must not pile up here.
    const taken = context.drained();
    if (taken !== undefined) channel.holdUntil(taken);
  }
}

async function* streamed<C>(
  method: DescMethod,
  sent: Requests,
  context: HandlerContext<C>,
  routed: Promise<ForwardedCall>,
): AsyncGenerator<Message, void> {
  const { channel, metadata, request = sent } = await routed;
  yield* channel.stream(method, request, { ...optionsOf(context, metadata), signal: context.signal });
}

function forward<C>(
  method: DescMethod,
  sent: Requests,
  context: HandlerContext<C>,
  { channel, metadata }: ForwardedCall,
): Promise<Message> | AsyncIterable<Message> {
  const options = optionsOf(context, metadata);
  return answersWithStream(method)
    ? channel.stream(method, sent, { ...options, signal: context.signal })
    : channel.call(method, sent, options);
}

function optionsOf(
  { timeoutMs }: Pick<CallInfo<unknown>, 'timeoutMs'>,
  metadata: MetadataInit | undefined,
): CallOptions {
  return {
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(metadata === undefined ? {} : { metadata }),
  };
}

function answersWithStream({ methodKind }: DescMethod): boolean {
  return methodKind === 'server_streaming' || methodKind === 'bidi_streaming';
}
