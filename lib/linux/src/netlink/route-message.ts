import { Buffer } from 'node:buffer';
import {
  type Attribute,
  decodeAttributes,
  encodeAttributes,
  uint32Attribute,
  uint32Of,
} from './attributes.js';
import { splitPayload } from './netlink-message.js';

/** A route (struct rtmsg, rtnetlink(7)). */
export interface RouteMessage {
  /** AF_INET or AF_INET6. */
  readonly family: number;
  /** Bits of `RouteAttribute.Destination`; 0 without one: the default route. */
  readonly destinationBits: number;
  readonly sourceBits: number;
  readonly tos: number;
  /** A `RouteTable`, or another number up to 2^32 - 1 (RTA_TABLE). */
  readonly table: number;
  /** RTPROT_: where it comes from. */
  readonly protocol: number;
  /** RT_SCOPE_; IPv6 has none. */
  readonly scope: number;
  /** RTN_. */
  readonly type: number;
  /** RTNH_F_ and RTM_F_. */
  readonly flags: number;
  /** Without RTA_TABLE, which is `table`. */
  readonly attributes: readonly Attribute[];
}

/** RTA_. */
export const RouteAttribute = {
  Destination: 1,
  Source: 2,
  OutputLink: 4,
  Gateway: 5,
  Priority: 6,
  PreferredSource: 7,
  Metrics: 8,
  Multipath: 9,
  CacheInfo: 12,
  Table: 15,
  Via: 18,
} as const;

/** RTAX_, in `RouteAttribute.Metrics`. */
export const RouteMetric = { Mtu: 2 } as const;

/** RT_TABLE_. */
export const RouteTable = { Main: 254, Local: 255 } as const;

/** RTPROT_: set since the machine started, as `ip route` does without another origin. */
export const RouteProtocol = { Boot: 3 } as const;

/** RTN_. */
export const RouteType = { Unicast: 1, Local: 2 } as const;

/** RT_SCOPE_. */
export const RouteScope = { Universe: 0, Host: 254 } as const;

/** RTNH_F_: the gateway is on the link, though no route leads to it. */
export const RouteFlag = { OnLink: 4 } as const;

/** struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type (u8 each), flags (u32). */
const fixedSize = 12;

/** RT_TABLE_COMPAT: in the place of a table above 255. */
const otherTable = 252;

export function decodeRoute(payload: Buffer): RouteMessage {
  const { fixed, rest } = splitPayload(payload, fixedSize);
  const attributes = decodeAttributes(rest);
  return {
    family: fixed.readUInt8(0),
    destinationBits: fixed.readUInt8(1),
    sourceBits: fixed.readUInt8(2),
    tos: fixed.readUInt8(3),
    table: uint32Of(attributes, RouteAttribute.Table) ?? fixed.readUInt8(4),
    protocol: fixed.readUInt8(5),
    scope: fixed.readUInt8(6),
    type: fixed.readUInt8(7),
    flags: fixed.readUInt32LE(8),
    attributes: attributes.filter(({ type }) => type !== RouteAttribute.Table),
  };
}

export function encodeRoute(route: RouteMessage): Buffer {
  const { family, destinationBits, sourceBits, tos, table, protocol, scope, type, flags } = route;
  const fixed = Buffer.from([
    family,
    destinationBits,
    sourceBits,
    tos,
    table > 0xff ? otherTable : table,
    protocol,
    scope,
    type,
    0,
    0,
    0,
    0,
  ]);
  fixed.writeUInt32LE(flags, 8);
  return Buffer.concat([
    fixed,
    encodeAttributes([uint32Attribute(RouteAttribute.Table, table), ...route.attributes]),
  ]);
}

/** The request of a list of routes of a family; `table` 0: of all tables. */
export function encodeRouteRequest(family: number, table: number): Buffer {
  const zero = { destinationBits: 0, sourceBits: 0, tos: 0, protocol: 0, scope: 0, type: 0, flags: 0 };
  return encodeRoute({ family, table, ...zero, attributes: [] });
}
