import type {
  DescMessage,
  DescMethod,
  DescService,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import { type Encode, encoderOf } from '../frame/payload.js';
import type { HandlerContext } from '../interceptor.js';
import type { UnknownFields } from '../message/scan.js';

type Reply<M extends DescMessage> = MessageInitShape<M>;

/** The signature of a handler, by kind of call. */
export type MethodImplementation<
  M extends Pick<DescMethod, 'input' | 'output' | 'methodKind'>,
  C,
> = M['methodKind'] extends 'unary'
  ? (
      request: MessageShape<M['input']>,
      context: HandlerContext<C>,
    ) => Reply<M['output']> | Promise<Reply<M['output']>>
  : M['methodKind'] extends 'server_streaming'
    ? (request: MessageShape<M['input']>, context: HandlerContext<C>) => AsyncIterable<Reply<M['output']>>
    : M['methodKind'] extends 'client_streaming'
      ? (
          requests: AsyncIterable<MessageShape<M['input']>>,
          context: HandlerContext<C>,
        ) => Promise<Reply<M['output']>>
      : M['methodKind'] extends 'bidi_streaming'
        ? (
            requests: AsyncIterable<MessageShape<M['input']>>,
            context: HandlerContext<C>,
          ) => AsyncIterable<Reply<M['output']>>
        : never;

/** The functions of a service by protobuf-es's local names: `CreateContainer` is `createContainer`. */
export type ServiceImplementation<S extends DescService, C> = {
  [Name in keyof S['method']]: MethodImplementation<S['method'][Name], C>;
};

/** A handler whose types were checked at registration. */
export type Handler<C> = (request: unknown, context: HandlerContext<C>) => unknown;

export interface ServiceRegistration<C> {
  readonly descriptor: DescService;
  /** Keyed by the method's name on the wire. */
  readonly handlers: ReadonlyMap<string, Handler<C>>;
  /** What happens to fields of requests that the descriptor does not have; absent: they are dropped. */
  readonly unknownFields?: UnknownFields;
  /**
   * Names on the wire of unary methods that need the bytes of a request only until the handler has ended: neither it nor an
   * interceptor passes them on to work that may continue after that, such as a write that is not awaited. The memory of a large
   * request is then used again; views of it that were kept become empty.
   */
  readonly borrowing?: readonly string[];
}

/**
 * Registers an implementation of a service. Methods without a function answer UNIMPLEMENTED. Functions are called as
 * methods of `implementation`, which may be a class instance. Throws when a method's member of `implementation` is not
 * a function.
 */
export function service<S extends DescService, C = unknown>(
  descriptor: S,
  implementation: Partial<ServiceImplementation<S, C>>,
): ServiceRegistration<C> {
  const handlers = new Map<string, Handler<C>>();
  for (const method of descriptor.methods) {
    const handler: unknown = Reflect.get(implementation, method.localName);
    if (handler === undefined) continue;
    if (typeof handler !== 'function')
      throw new TypeError(
        `${descriptor.typeName}: ${method.localName} is a ${typeof handler}, not a function`,
      );
    handlers.set(method.name, (request, context) =>
      Reflect.apply(handler, implementation, [request, context]),
    );
  }
  return { descriptor, handlers };
}

/** The properties of a method that its calls use, computed once. */
export interface MethodEntry<C> {
  readonly service: string;
  readonly name: string;
  readonly kind: DescMethod['methodKind'];
  readonly input: DescMessage;
  readonly output: DescMessage;
  /** Undefined when the method is declared but not implemented. */
  readonly handler: Handler<C> | undefined;
  readonly encode: Encode;
  readonly unknownFields: UnknownFields;
  /** See `ServiceRegistration.borrowing`. */
  readonly borrows: boolean;
}

export type MethodTable<C> = ReadonlyMap<string, ReadonlyMap<string, MethodEntry<C>>>;

/** Builds the table of methods. Throws when a service is registered twice. */
export function buildMethodTable<C>(registrations: readonly ServiceRegistration<C>[]): MethodTable<C> {
  const table = new Map<string, ReadonlyMap<string, MethodEntry<C>>>();
  for (const { descriptor, handlers, unknownFields = 'skip', borrowing = [] } of registrations) {
    if (table.has(descriptor.typeName)) throw new Error(`service ${descriptor.typeName} is registered twice`);
    const entries = descriptor.methods.map((method): [string, MethodEntry<C>] => [
      method.name,
      {
        service: descriptor.typeName,
        name: method.name,
        kind: method.methodKind,
        input: method.input,
        output: method.output,
        handler: handlers.get(method.name),
        encode: encoderOf(method.output),
        unknownFields,
        borrows: method.methodKind === 'unary' && borrowing.includes(method.name),
      },
    ]);
    table.set(descriptor.typeName, new Map(entries));
  }
  return table;
}
