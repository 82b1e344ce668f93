import { create, ScalarType, toBinary, type DescMessage, type Message } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** A message's bytes in up to two parts, so that a large `bytes` field need not be copied: `head`, then `tail`. */
export interface EncodedPayload {
  readonly head: Uint8Array;
  readonly tail: Uint8Array | undefined;
  readonly length: number;
}

/** From this many bytes on, a part is handed to the socket as it is: cheaper than a copy. */
export const largePart = 8192;

/** What a response adds to its payload or status: a tag, and a length of up to four bytes. */
export const mostEnvelopeBytes = 5;

const empty = new Uint8Array(0);

export const emptyPayload: EncodedPayload = { head: empty, tail: undefined, length: 0 };

/** A value the user gave: a message, or the fields of one. */
export type Encode = (message: object) => EncodedPayload;

/**
 * Makes the encoder of a message type. A message with one large `bytes` field at its top is encoded as its other
 * fields, the field's tag and length, and the field's own buffer; the order of fields is free in protobuf.
 * That buffer must not be changed before it is written.
 */
export function encoderOf(descriptor: DescMessage): Encode {
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

function hasType(given: object, typeName: string): given is Message {
  return '$typeName' in given && given.$typeName === typeName;
}

/** The message's bytes with one of its `bytes` fields left out, or empty: the one that follows counts. */
function withoutField(descriptor: DescMessage, message: Message, localName: string): Uint8Array {
  const prototype: object | null = Reflect.getPrototypeOf(message);
  const copy: Message = Object.assign(Object.create(prototype), message);
  Reflect.set(copy, localName, empty);
  return toBinary(descriptor, copy);
}

function fieldLead(number: number, length: number): Uint8Array {
  return new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(length).finish();
}
