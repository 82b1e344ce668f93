import { Buffer } from 'node:buffer';
import { type Attribute, attributeOf, decodeAttributes, encodeAttributes } from './attributes.js';
import { splitPayload } from './netlink-message.js';

/** An address of a link (struct ifaddrmsg, rtnetlink(7)). */
export interface AddressMessage {
  /** AF_INET or AF_INET6. */
  readonly family: number;
  /** Bits. */
  readonly prefix: number;
  /** IFA_F_, the first eight. */
  readonly flags: number;
  /** RT_SCOPE_. */
  readonly scope: number;
  /** Of its link. */
  readonly index: number;
  readonly attributes: readonly Attribute[];
}

/** IFA_. The local address; `Address` is the peer's on a point-to-point link, the same otherwise, and for IPv6 the only one. */
export const AddressAttribute = { Address: 1, Local: 2 } as const;

/** IFA_F_: no duplicate address detection. */
export const AddressFlag = { NoDuplicateDetection: 0x02 } as const;

/** struct ifaddrmsg: family, prefix, flags, scope (u8 each), index (u32). */
const fixedSize = 8;

export function decodeAddress(payload: Buffer): AddressMessage {
  const { fixed, rest } = splitPayload(payload, fixedSize);
  return {
    family: fixed.readUInt8(0),
    prefix: fixed.readUInt8(1),
    flags: fixed.readUInt8(2),
    scope: fixed.readUInt8(3),
    index: fixed.readUInt32LE(4),
    attributes: decodeAttributes(rest),
  };
}

export function encodeAddress({ family, prefix, flags, scope, index, attributes }: AddressMessage): Buffer {
  const fixed = Buffer.from([family, prefix, flags, scope, 0, 0, 0, 0]);
  fixed.writeUInt32LE(index, 4);
  return Buffer.concat([fixed, encodeAttributes(attributes)]);
}

/** Returns the link's own address; undefined: the message has none. */
export function localAddress({ attributes }: AddressMessage): Buffer | undefined {
  return attributeOf(attributes, AddressAttribute.Local) ?? attributeOf(attributes, AddressAttribute.Address);
}
