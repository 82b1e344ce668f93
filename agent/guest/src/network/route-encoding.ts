import {
  AddressFamily,
  type Attribute,
  attributeOf,
  decodeAttributes,
  encodeAttributes,
  encodeIpAddress,
  formatIpAddress,
  RouteAttribute,
  RouteFlag,
  type RouteMessage,
  RouteMetric,
  RouteProtocol,
  RouteScope,
  RouteTable,
  RouteType,
  uint32Attribute,
  uint32Of,
} from '@kata-agent/linux';
import type { Family, Route } from './network-values.js';

export const addressFamily: Readonly<Record<Family, number>> = {
  v4: AddressFamily.Inet,
  v6: AddressFamily.Inet6,
};

const fullBits: Readonly<Record<Family, number>> = { v4: 32, v6: 128 };

/** The address of a default route. */
const anyAddress: Readonly<Record<Family, string>> = { v4: '0.0.0.0', v6: '::' };

/** Encodes a route of the main table. `index`: of its link. */
export function encodedRoute(route: Route, index: number): RouteMessage {
  const { family, gateway, scope, flags, mtu } = route;
  const dest = network(route.dest, family);
  const source = network(route.source, family);
  // A source with full prefix length is the preferred source address; another prefix makes a source-specific route (IPv6).
  const isSpecific = source.address !== undefined && source.bits < fullBits[family];
  return {
    family: addressFamily[family],
    destinationBits: dest.bits,
    sourceBits: isSpecific ? source.bits : 0,
    tos: 0,
    table: RouteTable.Main,
    protocol: RouteProtocol.Boot,
    // IPv6 has no scopes.
    scope: family === 'v4' ? scope : RouteScope.Universe,
    type: RouteType.Unicast,
    // No other flag (RTNH_F_DEAD, PERVASIVE, OFFLOAD, LINKDOWN, …) is for a request to set.
    flags: flags & RouteFlag.OnLink,
    attributes: [
      ...addressAttribute(RouteAttribute.Destination, dest.address),
      ...addressAttribute(
        isSpecific ? RouteAttribute.Source : RouteAttribute.PreferredSource,
        source.address,
      ),
      ...addressAttribute(RouteAttribute.Gateway, gateway === '' ? undefined : gateway),
      uint32Attribute(RouteAttribute.OutputLink, index),
      ...(mtu === 0
        ? []
        : [
            {
              type: RouteAttribute.Metrics,
              value: encodeAttributes([uint32Attribute(RouteMetric.Mtu, mtu)]),
            },
          ]),
    ],
  };
}

/** Encodes a route of the table `local` by which an address is the guest's own. `index`: of the loopback interface. */
export function encodedLocalRoute(address: string, family: Family, index: number): RouteMessage {
  return {
    family: addressFamily[family],
    destinationBits: fullBits[family],
    sourceBits: 0,
    tos: 0,
    table: RouteTable.Local,
    protocol: RouteProtocol.Boot,
    scope: family === 'v4' ? RouteScope.Host : RouteScope.Universe,
    type: RouteType.Local,
    flags: 0,
    attributes: [
      ...addressAttribute(RouteAttribute.Destination, address),
      uint32Attribute(RouteAttribute.OutputLink, index),
      // The kernel's own has another one.
      uint32Attribute(RouteAttribute.Priority, 1),
    ],
  };
}

/** Decodes a route. `nameOf`: returns the name of a link by its index; empty: it has none. */
export function decodedRoute(
  { destinationBits, scope, flags, attributes }: RouteMessage,
  family: Family,
  nameOf: (index: number) => string,
): Route {
  const value = (type: number): Buffer | undefined => attributeOf(attributes, type);
  const addressAt = (type: number, absent: string): string => {
    const bytes = value(type);
    return bytes === undefined ? absent : formatIpAddress(bytes);
  };
  // A gateway of the other family (struct rtvia): the family first.
  const via = value(RouteAttribute.Via)?.subarray(2);
  const index = uint32Of(attributes, RouteAttribute.OutputLink);
  const metrics = value(RouteAttribute.Metrics);
  return {
    family,
    dest: `${addressAt(RouteAttribute.Destination, anyAddress[family])}/${destinationBits}`,
    gateway: addressAt(RouteAttribute.Gateway, via === undefined ? '' : formatIpAddress(via)),
    device: index === undefined ? '' : nameOf(index),
    source: addressAt(RouteAttribute.PreferredSource, ''),
    scope,
    flags: flags & RouteFlag.OnLink,
    mtu: (metrics === undefined ? undefined : uint32Of(decodeAttributes(metrics), RouteMetric.Mtu)) ?? 0,
  };
}

/** `route default via 10.0.0.1 dev eth0` */
export function routeText({ dest, gateway, device }: Route): string {
  return `route ${dest === '' ? 'default' : dest}${gateway === '' ? '' : ` via ${gateway}`} dev ${device}`;
}

/** Parses `10.0.0.0/8`; an address alone has all bits; an empty text no address and none. */
function network(
  text: string,
  family: Family,
): { readonly address: string | undefined; readonly bits: number } {
  if (text === '') return { address: undefined, bits: 0 };
  const [address, bits] = text.split('/');
  return { address, bits: bits === undefined ? fullBits[family] : Number(bits) };
}

function addressAttribute(type: number, address: string | undefined): readonly Attribute[] {
  return address === undefined ? [] : [{ type, value: encodeIpAddress(address) }];
}
