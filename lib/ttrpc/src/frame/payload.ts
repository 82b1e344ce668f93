import {
  create,
  type DescMessage,
  type DescMethod,
  type Message,
  ScalarType,
  toBinary,
} from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { BytesValueSchema } from '@bufbuild/protobuf/wkt';

/** The type of opaque messages. It has a descriptor only for its name: encoder and decoder compare it by identity. */
export const opaqueSchema: DescMessage = { ...BytesValueSchema, typeName: 'ttrpc.Opaque' };

/** An encoded message in up to two parts, so that a large `bytes` field need not be copied: `head`, then `tail`. */
export interface EncodedPayload {
  readonly head: Uint8Array;
  readonly tail: Uint8Array | undefined;
  readonly length: number;
}

/** Parts of at least this size, in bytes, are written to the socket without a copy. */
export const largePart = 8192;

/** Maximum overhead of a response around its payload or status: a tag and a length of up to four bytes. */
export const maxEnvelopeBytes = 5;

const empty = new Uint8Array(0);

export const emptyPayload: EncodedPayload = { head: empty, tail: undefined, length: 0 };

/** Encodes a message, or an object with its fields. */
export type Encode = (message: object) => EncodedPayload;

/**
 * Creates the encoder of a message type. A message with one large top-level `bytes` field is encoded as its other
 * fields, the field's tag and length, and the field's own buffer; protobuf allows any field order. The buffer must not
 * be changed before it is written.
 */
export function encoderOf(descriptor: DescMessage): Encode {
  if (descriptor === opaqueSchema) return (message) => encodedOpaque(message as Opaque);
  const typeName = descriptor.typeName;
  const candidates = descriptor.fields.filter(
    (field) => field.fieldKind === 'scalar' && field.scalar === ScalarType.BYTES && field.oneof === undefined,
  );
  const alone = descriptor.fields.length === 1;
  return (given) => {
    const message = hasType(given, typeName) ? given : create(descriptor, given as Record<string, unknown>);
    for (const field of candidates) {
      const value: unknown = Reflect.get(message, field.localName);
      if (!(value instanceof Uint8Array) || value.length < largePart) continue;
      const lead = fieldLead(field.number, value.length);
      const bare = alone && message.$unknown === undefined;
      const head = bare ? lead : Buffer.concat([withoutField(descriptor, message, field.localName), lead]);
      return { head, tail: value, length: head.length + value.length };
    }
    const head = toBinary(descriptor, message);
    return { head, tail: undefined, length: head.length };
  };
}

function encodedOpaque({ value }: Opaque): EncodedPayload {
  const { length } = value;
  return length < largePart ? { head: value, tail: undefined, length } : { head: empty, tail: value, length };
}

function hasType(given: object, typeName: string): given is Message {
  return '$typeName' in given && given.$typeName === typeName;
}

/**
 * Encodes the message without one of its `bytes` fields. The field may also be written empty: the last occurrence
 * counts.
 */
function withoutField(descriptor: DescMessage, message: Message, localName: string): Uint8Array {
  const prototype: object | null = Reflect.getPrototypeOf(message);
  const copy: Message = Object.assign(Object.create(prototype), message);
  Reflect.set(copy, localName, empty);
  return toBinary(descriptor, copy);
}

function fieldLead(number: number, length: number): Uint8Array {
  return new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(length).finish();
}

/** An encoded message of any type: `value` is its bytes. It is neither scanned nor decoded. */
export interface Opaque extends Message {
  readonly value: Uint8Array;
}

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
