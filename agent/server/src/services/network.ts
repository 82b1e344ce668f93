import * as perform from '@kata-agent/guest';
import type { Family, Interface, InterfaceAddress, Neighbour, Route } from '@kata-agent/guest';
import {
  type Interface as WireInterface,
  type IPAddress,
  IPFamily,
  type ARPNeighbor,
  type Route as WireRoute,
} from '@kata-agent/protocol/types';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { Handler } from './handler.js';

export const updateInterface: Handler<'updateInterface'> = async ({ guest }, request) => {
  const wanted = given(request.interface, 'interface');
  await perform.updateInterface(guest, asInterface(wanted));
  return wanted;
};

export const listInterfaces: Handler<'listInterfaces'> = async ({ guest }) => ({
  Interfaces: (await perform.listInterfaces(guest)).map(({ name, hwAddr, mtu, addresses }) => ({
    name,
    // Kata's agent has capital letters here, and no `device`.
    hwAddr: hwAddr.toUpperCase(),
    mtu: BigInt(mtu),
    IPAddresses: addresses.map(wireAddress),
  })),
});

export const updateRoutes: Handler<'updateRoutes'> = async ({ guest }, request) => {
  const routes = given(request.routes, 'routes').Routes.map(asRoute);
  return { Routes: (await perform.updateRoutes(guest, routes)).map(wireRoute) };
};

export const listRoutes: Handler<'listRoutes'> = async ({ guest }) => ({
  Routes: (await perform.listRoutes(guest)).map(wireRoute),
});

export const addARPNeighbors: Handler<'addARPNeighbors'> = async ({ guest }, request) => {
  await perform.addNeighbours(guest, given(request.neighbors, 'neighbors').ARPNeighbors.map(asNeighbour));
  return {};
};

export const getIPTables: Handler<'getIPTables'> = async ({ guest }, { isIpv6 }) => ({
  data: await perform.getPacketFilter(guest, isIpv6 ? 'v6' : 'v4'),
});

export const setIPTables: Handler<'setIPTables'> = async ({ guest }, { isIpv6, data }) => {
  await perform.setPacketFilter(guest, isIpv6 ? 'v6' : 'v4', data);
  return {};
};

function given<T>(value: T | undefined, name: string): T {
  if (value !== undefined) return value;
  throw new TtrpcError(Code.InvalidArgument, `the request has no ${name}`);
}

function asInterface(wire: WireInterface): Interface {
  return {
    name: wire.name,
    hwAddr: wire.hwAddr,
    mtu: Number(wire.mtu),
    addresses: wire.IPAddresses.map(asAddress),
    devicePath: wire.devicePath,
    rawFlags: wire.rawFlags,
  };
}

function asAddress({ address, mask }: IPAddress): InterfaceAddress {
  return { address, prefix: /^\d{1,3}$/.test(mask) ? Number(mask) : Number.NaN };
}

function wireAddress({ address, prefix }: InterfaceAddress): {
  readonly family: IPFamily;
  readonly address: string;
  readonly mask: string;
} {
  return { family: address.includes(':') ? IPFamily.v6 : IPFamily.v4, address, mask: String(prefix) };
}

function family(wire: IPFamily): Family {
  return wire === IPFamily.v6 ? 'v6' : 'v4';
}

function asRoute(wire: WireRoute): Route {
  const { dest, gateway, device, source, scope, flags, mtu } = wire;
  return { family: family(wire.family), dest, gateway, device, source, scope, flags, mtu };
}

function wireRoute(route: Route): Omit<Route, 'family'> & { readonly family: IPFamily } {
  return { ...route, family: route.family === 'v6' ? IPFamily.v6 : IPFamily.v4 };
}

function asNeighbour({ toIPAddress, device, lladdr, state, flags }: ARPNeighbor): Neighbour {
  return { address: toIPAddress?.address ?? '', device, hwAddr: lladdr, state, flags };
}
