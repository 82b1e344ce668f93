import { Buffer } from 'node:buffer';
import { MalformedMessage } from './netlink-error.js';

/** An attribute of a message (struct rtattr). Attributes in another one are its value. */
export interface Attribute {
  /** Its meaning depends on the message: 1 is IFLA_ADDRESS, IFA_ADDRESS, RTA_DST, NDA_DST. */
  readonly type: number;
  readonly value: Buffer;
}

const headerSize = 4;

/** Without NLA_F_NESTED and NLA_F_NET_BYTEORDER, which say nothing that the type does not. */
const typeMask = 0x3fff;

/** Messages and attributes begin at multiples of 4 bytes. */
export function aligned(length: number): number {
  return (length + 3) & ~3;
}

export function encodeAttributes(attributes: readonly Attribute[]): Buffer {
  const encoded = Buffer.alloc(
    attributes.reduce((size, { value }) => size + aligned(headerSize + value.length), 0),
  );
  let at = 0;
  for (const { type, value } of attributes) {
    encoded.writeUInt16LE(headerSize + value.length, at);
    encoded.writeUInt16LE(type, at + 2);
    value.copy(encoded, at + headerSize);
    at += aligned(headerSize + value.length);
  }
  return encoded;
}

/**
 * Returns the attributes in bytes of a message, in their order. Values are parts of these bytes.
 *
 * @throws MalformedMessage if an attribute ends beyond the bytes.
 */
export function decodeAttributes(bytes: Buffer): readonly Attribute[] {
  const attributes: Attribute[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.length - at < headerSize ? 0 : bytes.readUInt16LE(at);
    if (length < headerSize || at + length > bytes.length)
      throw new MalformedMessage(`an attribute of ${length} bytes at ${at} of ${bytes.length}`);
    const type = bytes.readUInt16LE(at + 2) & typeMask;
    attributes.push({ type, value: bytes.subarray(at + headerSize, at + length) });
    at += aligned(length);
  }
  return attributes;
}

/** Returns the value of the last attribute of a type, which is the one that the kernel uses. */
export function attributeOf(attributes: readonly Attribute[], type: number): Buffer | undefined {
  return attributes.findLast((each) => each.type === type)?.value;
}

/**
 * Returns the number in the last attribute of a type; undefined: it is not there.
 *
 * @throws MalformedMessage if its value is no u32.
 */
export function uint32Of(attributes: readonly Attribute[], type: number): number | undefined {
  const value = attributeOf(attributes, type);
  if (value === undefined) return undefined;
  if (value.length !== 4)
    throw new MalformedMessage(`attribute ${type} of ${value.length} bytes is no number`);
  return value.readUInt32LE(0);
}

export function uint32Attribute(type: number, number: number): Attribute {
  const value = Buffer.alloc(4);
  value.writeUInt32LE(number);
  return { type, value };
}
