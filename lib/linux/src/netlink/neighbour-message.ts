import { Buffer } from 'node:buffer';
import { attributeOf, decodeAttributes, encodeAttributes } from './attributes.js';
import { splitPayload } from './netlink-message.js';

/** An entry of a neighbour table (struct ndmsg, rtnetlink(7)). */
export interface NeighbourMessage {
  /** AF_INET or AF_INET6. */
  readonly family: number;
  /** Of its link. */
  readonly index: number;
  /** NUD_. */
  readonly state: number;
  /** NTF_. */
  readonly flags: number;
  readonly address: Buffer;
  /** Empty: it has none. */
  readonly hwAddr: Buffer;
}

/** NUD_. */
export const NeighbourState = { Permanent: 0x80 } as const;

/** NTF_. */
export const NeighbourFlag = { Use: 0x01, Proxy: 0x08, ExternallyLearned: 0x10, Router: 0x80 } as const;

/** NDA_. */
const NeighbourAttribute = { Address: 1, HwAddr: 2 } as const;

/** struct ndmsg: family (u8), padding, index (i32 at 4), state (u16), flags, type (u8 each). */
const fixedSize = 12;

export function decodeNeighbour(payload: Buffer): NeighbourMessage {
  const { fixed, rest } = splitPayload(payload, fixedSize);
  const attributes = decodeAttributes(rest);
  return {
    family: fixed.readUInt8(0),
    index: fixed.readInt32LE(4),
    state: fixed.readUInt16LE(8),
    flags: fixed.readUInt8(10),
    address: attributeOf(attributes, NeighbourAttribute.Address) ?? Buffer.alloc(0),
    hwAddr: attributeOf(attributes, NeighbourAttribute.HwAddr) ?? Buffer.alloc(0),
  };
}

export function encodeNeighbour({ address, hwAddr, ...neighbour }: NeighbourMessage): Buffer {
  const attributes = [
    { type: NeighbourAttribute.Address, value: address },
    { type: NeighbourAttribute.HwAddr, value: hwAddr },
  ];
  return Buffer.concat([
    encodeFixed(neighbour),
    encodeAttributes(attributes.filter(({ value }) => value.length > 0)),
  ]);
}

/** The request of a list of all neighbours, or of all proxy entries. */
export function encodeNeighbourRequest(which: 'neighbours' | 'proxies'): Buffer {
  const flags = which === 'proxies' ? NeighbourFlag.Proxy : 0;
  return encodeFixed({ family: 0, index: 0, state: 0, flags });
}

function encodeFixed({ family, index, state, flags }: Omit<NeighbourMessage, 'address' | 'hwAddr'>): Buffer {
  const fixed = Buffer.alloc(fixedSize);
  fixed.writeUInt8(family, 0);
  fixed.writeInt32LE(index, 4);
  fixed.writeUInt16LE(state, 8);
  fixed.writeUInt8(flags, 10);
  return fixed;
}
