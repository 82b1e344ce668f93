import type { DescMessage, DescMethod } from '@bufbuild/protobuf';
import { encoderOf, type Encode } from '../frame/payload.js';
import type { UnknownFields } from '../message/scan.js';
import type { Handler, ServiceRegistration } from './service.js';

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
}

export type MethodTable<C> = ReadonlyMap<string, ReadonlyMap<string, MethodEntry<C>>>;

/** Builds the table of methods. Throws when a service is registered twice. */
export function buildMethodTable<C>(registrations: readonly ServiceRegistration<C>[]): MethodTable<C> {
  const table = new Map<string, ReadonlyMap<string, MethodEntry<C>>>();
  for (const { descriptor, handlers, unknownFields = 'skip' } of registrations) {
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
      },
    ]);
    table.set(descriptor.typeName, new Map(entries));
  }
  return table;
}
