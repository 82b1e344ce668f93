import type { Duplex } from 'node:stream';
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import type { CallOptions, Channel, ChannelOptions } from './channel.js';
import { ClientConnection } from './client-connection.js';
import { completeLimits } from '../limits.js';

/** Creates a client connection on a connected stream and takes ownership of the stream. */
export function connect(stream: Duplex, options: ChannelOptions = {}): Channel {
  return new ClientConnection(stream, completeLimits(options.limits), options.interceptors ?? []);
}

type Init<M extends DescMessage> = MessageInitShape<M>;

/** The signature of a client method, by kind of call. */
export type ClientMethod<M extends Pick<DescMethod, 'input' | 'output' | 'methodKind'>> =
  M['methodKind'] extends 'unary'
    ? (request: Init<M['input']>, options?: CallOptions) => Promise<MessageShape<M['output']>>
    : M['methodKind'] extends 'server_streaming'
      ? (request: Init<M['input']>, options?: CallOptions) => AsyncIterable<MessageShape<M['output']>>
      : M['methodKind'] extends 'client_streaming'
        ? (
            requests: AsyncIterable<Init<M['input']>>,
            options?: CallOptions,
          ) => Promise<MessageShape<M['output']>>
        : M['methodKind'] extends 'bidi_streaming'
          ? (
              requests: AsyncIterable<Init<M['input']>>,
              options?: CallOptions,
            ) => AsyncIterable<MessageShape<M['output']>>
          : never;

/** The methods of a service by protobuf-es's local names: `CreateContainer` is `createContainer`. */
export type Client<S extends DescService> = {
  [Name in keyof S['method']]: ClientMethod<S['method'][Name]>;
};

/** Creates a typed client for a service over a channel. */
export function createClient<S extends DescService>(descriptor: S, channel: Channel): Client<S> {
  const functions = descriptor.methods.map((method) => [method.localName, clientMethod(channel, method)]);
  return Object.fromEntries(functions) as Client<S>;
}

function clientMethod(channel: Channel, method: DescMethod): unknown {
  const { input, methodKind } = method;
  const one = (request: Init<DescMessage>): Message => create(input, request);
  const many = (requests: AsyncIterable<Init<DescMessage>>): AsyncIterable<Message> =>
    messages(input, requests);
  switch (methodKind) {
    case 'unary':
      return (request: Init<DescMessage>, options?: CallOptions) =>
        channel.call(method, one(request), options);
    case 'server_streaming':
      return (request: Init<DescMessage>, options?: CallOptions) =>
        channel.stream(method, one(request), options);
    case 'client_streaming':
      return (requests: AsyncIterable<Init<DescMessage>>, options?: CallOptions) =>
        channel.call(method, many(requests), options);
    case 'bidi_streaming':
      return (requests: AsyncIterable<Init<DescMessage>>, options?: CallOptions) =>
        channel.stream(method, many(requests), options);
  }
}

async function* messages(
  input: DescMessage,
  inits: AsyncIterable<Init<DescMessage>>,
): AsyncGenerator<Message, void> {
  for await (const init of inits) yield create(input, init);
}
