import type { DescMethod, DescService, Message } from '@bufbuild/protobuf';
import type { Channel } from '../client/channel.js';
import type { CallInfo } from '../interceptor.js';
import { opaqueMethod } from '../message/opaque.js';
import type { MetadataInit } from '../message/metadata.js';
import type { Handler, ServiceRegistration } from '../server/service.js';

/** The server that a call is forwarded to. */
export interface ForwardedCall {
  readonly channel: Channel;
  /** Sent instead of the caller's metadata; absent: none. */
  readonly metadata?: MetadataInit;
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
  const handlers = methods.map((method): [string, Handler<C>] => [method.name, handlerOf(method, route)]);
  return { descriptor: { ...descriptor, methods }, handlers: new Map(handlers) };
}

function handlerOf<C>(method: DescMethod, route: (call: CallInfo<C>) => ForwardedCall): Handler<C> {
  const streams = method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming';
  return (requests, context) => {
    const { channel, metadata } = route(context);
    const options = {
      ...(context.timeoutMs === undefined ? {} : { timeoutMs: context.timeoutMs }),
      ...(metadata === undefined ? {} : { metadata }),
    };
    const sent = requests as Message | AsyncIterable<Message>;
    return streams
      ? channel.stream(method, sent, { ...options, signal: context.signal })
      : channel.call(method, sent, options);
  };
}
