import { Buffer } from 'node:buffer';
import {
  type Attribute,
  attributeOf,
  decodeAttributes,
  encodeAttributes,
  uint32Attribute,
  uint32Of,
} from './attributes.js';
import { splitPayload } from './netlink-message.js';

/** A link as the kernel lists it (struct ifinfomsg, rtnetlink(7)). */
export interface LinkMessage {
  readonly index: number;
  /** IFF_, netdevice(7). */
  readonly flags: number;
  readonly name: string;
  /** Empty: the link has none. */
  readonly hwAddr: Buffer;
  readonly mtu: number;
}

/** What to change of a link; what is left out stays. */
export interface LinkChange {
  readonly index: number;
  readonly flags?: Readonly<Partial<Record<keyof typeof LinkFlag, boolean>>>;
  readonly name?: string;
  readonly hwAddr?: Buffer;
  readonly mtu?: number;
}

/** IFF_. */
export const LinkFlag = { Up: 0x01, Loopback: 0x08, NoArp: 0x80 } as const;

/** IFLA_. */
const LinkAttribute = { Address: 1, Name: 3, Mtu: 4, ExtendedMask: 29 } as const;

/** RTEXT_FILTER_SKIP_STATS: counters are most of a link's message. */
const SkipStatistics = 0x08;

/** struct ifinfomsg: family, padding, type (u16), index (i32), flags (u32), change (u32). */
const fixedSize = 16;

export function decodeLink(payload: Buffer): LinkMessage {
  const { fixed, rest } = splitPayload(payload, fixedSize);
  const attributes = decodeAttributes(rest);
  return {
    index: fixed.readInt32LE(4),
    flags: fixed.readUInt32LE(8),
    name: attributeOf(attributes, LinkAttribute.Name)?.toString().replace(/\0.*$/s, '') ?? '',
    hwAddr: attributeOf(attributes, LinkAttribute.Address) ?? Buffer.alloc(0),
    mtu: uint32Of(attributes, LinkAttribute.Mtu) ?? 0,
  };
}

export function encodeLinkChange({ index, flags = {}, name, hwAddr, mtu }: LinkChange): Buffer {
  let [values, change] = [0, 0];
  for (const [flag, bit] of Object.entries(LinkFlag)) {
    const value = flags[flag as keyof typeof LinkFlag];
    if (value !== undefined) change |= bit;
    if (value === true) values |= bit;
  }
  const attributes: readonly (Attribute | undefined)[] = [
    hwAddr === undefined ? undefined : { type: LinkAttribute.Address, value: hwAddr },
    name === undefined ? undefined : { type: LinkAttribute.Name, value: Buffer.from(`${name}\0`) },
    mtu === undefined ? undefined : uint32Attribute(LinkAttribute.Mtu, mtu),
  ];
  return withFixed(
    { index, values, change },
    attributes.filter((each) => each !== undefined),
  );
}

/** The request of a list of all links. */
export function encodeLinkRequest(): Buffer {
  return withFixed({ index: 0, values: 0, change: 0 }, [
    uint32Attribute(LinkAttribute.ExtendedMask, SkipStatistics),
  ]);
}

function withFixed(
  { index, values, change }: { readonly index: number; readonly values: number; readonly change: number },
  attributes: readonly Attribute[],
): Buffer {
  const fixed = Buffer.alloc(fixedSize);
  fixed.writeInt32LE(index, 4);
  fixed.writeUInt32LE(values, 8);
  fixed.writeUInt32LE(change, 12);
  return Buffer.concat([fixed, encodeAttributes(attributes)]);
}
