import type { DescMessage, DescMethod } from '@bufbuild/protobuf';
import { encoderOf, type Encode } from './payload.js';
import type { Handler, ServiceRegistration } from './service.js';

/** All that a call needs to know of its method, worked out once. */
export interface MethodEntry<C> {
  readonly service: string;
  readonly name: string;
  readonly kind: DescMethod['methodKind'];
  readonly input: DescMessage;
  readonly output: DescMessage;
  /** Undefined: declared, but not implemented. */
  readonly handler: Handler<C> | undefined;
  readonly encode: Encode;
}

export type MethodTable<C> = ReadonlyMap<string, ReadonlyMap<string, MethodEntry<C>>>;

/** Throws when two registrations are for one service. */
export function buildMethodTable<C>(registrations: readonly ServiceRegistration<C>[]): MethodTable<C> {
  const table = new Map<string, ReadonlyMap<string, MethodEntry<C>>>();
  for (const { descriptor, handlers } of registrations) {
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
      },
    ]);
    table.set(descriptor.typeName, new Map(entries));
  }
  return table;
}
