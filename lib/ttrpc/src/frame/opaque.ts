import type { DescMessage, DescMethod, Message } from '@bufbuild/protobuf';
import { BytesValueSchema } from '@bufbuild/protobuf/wkt';

/** An encoded message of any type: `value` is its bytes. It is neither scanned nor decoded. */
export interface Opaque extends Message {
  readonly value: Uint8Array;
}

/** The type of opaque messages. It has a descriptor only for its name: encoder and decoder compare it by identity. */
export const opaqueSchema: DescMessage = { ...BytesValueSchema, typeName: 'ttrpc.Opaque' };

export function opaque(value: Uint8Array): Opaque {
  return { $typeName: opaqueSchema.typeName, value };
}

/** Returns the method with opaque messages: the same on the wire. */
export function opaqueMethod(method: DescMethod): DescMethod {
  return { ...method, input: opaqueSchema, output: opaqueSchema };
}

/** Returns the method with an opaque response alone: the same on the wire. */
export function opaqueReply(method: DescMethod): DescMethod {
  return { ...method, output: opaqueSchema };
}
