import { create, type Message } from '@bufbuild/protobuf';
import {
  AddARPNeighborsRequestSchema,
  UpdateInterfaceRequestSchema,
  UpdateRoutesRequestSchema,
} from '@kata-agent/protocol/agent';
import { IPFamily } from '@kata-agent/protocol/types';

/** A request for the guest's network that a runtime makes, or one with a change that genpolicy's rules are about. */
export interface NetworkRequest {
  readonly method: 'UpdateInterface' | 'UpdateRoutes' | 'AddARPNeighbors';
  readonly field: string;
  /** The change; absent: none. */
  readonly detail?: string;
  readonly request: Message;
}

interface Interface {
  readonly name?: string;
  readonly hwAddr?: string;
  readonly rawFlags?: number;
}

function updateInterface(field: string, changes: Interface, detail?: string): NetworkRequest {
  const { name = 'eth0', hwAddr = '02:42:0a:58:00:07', rawFlags = 128 } = changes;
  const IPAddresses = [{ address: '10.88.0.7', mask: '24' }];
  const request = create(UpdateInterfaceRequestSchema, {
    interface: { device: 'eth0', name, IPAddresses, mtu: 1500n, hwAddr, rawFlags },
  });
  return { method: 'UpdateInterface', field, request, ...(detail === undefined ? {} : { detail }) };
}

function updateRoutes(
  field: string,
  changes: Readonly<Record<string, string>>,
  detail?: string,
): NetworkRequest {
  const own = { dest: '10.89.0.0/16', gateway: '10.88.0.1', device: 'eth0' };
  const request = create(UpdateRoutesRequestSchema, { routes: { Routes: [{ ...own, ...changes }] } });
  return { method: 'UpdateRoutes', field, request, ...(detail === undefined ? {} : { detail }) };
}

interface Neighbour {
  readonly address?: string;
  readonly mask?: string;
  readonly device?: string;
  readonly state?: number;
  readonly flags?: number;
}

function addNeighbour(field: string, changes: Neighbour, detail?: string): NetworkRequest {
  const { address = '10.88.0.1', mask = '', device = 'eth0', state = 128, flags = 0 } = changes;
  const request = create(AddARPNeighborsRequestSchema, {
    neighbors: {
      ARPNeighbors: [
        {
          toIPAddress: { family: IPFamily.v4, address, mask },
          device,
          lladdr: '02:42:0a:58:00:01',
          state,
          flags,
        },
      ],
    },
  });
  return { method: 'AddARPNeighbors', field, request, ...(detail === undefined ? {} : { detail }) };
}

/** The first request of each method is unchanged. */
export const networkRequests: readonly NetworkRequest[] = [
  updateInterface('interface', {}),
  updateInterface('interface.name', { name: 'lo' }, 'lo'),
  updateInterface('interface.hwAddr', { hwAddr: '00:00:00:00:00:00' }, 'zero'),
  updateInterface('interface.raw_flags', { rawFlags: 8 }, 'LOOPBACK'),
  updateInterface('interface.raw_flags', { rawFlags: 256 }, 'PROMISC'),
  updateRoutes('routes', {}),
  updateRoutes('routes.Routes[].device', { device: 'lo' }, 'lo'),
  updateRoutes('routes.Routes[].source', { source: '127.0.0.1' }, '127.0.0.1'),
  updateRoutes('routes.Routes[].source', { source: '::1' }, '::1'),
  updateRoutes('routes.Routes[].source', { source: '0:0:0:0:0:0:0:1' }, '::1 in full'),
  addNeighbour('neighbors', {}),
  addNeighbour('neighbors.ARPNeighbors[].device', { device: 'lo' }, 'lo'),
  addNeighbour('neighbors.ARPNeighbors[].toIPAddress', { address: '127.0.0.1' }, '127.0.0.1'),
  addNeighbour('neighbors.ARPNeighbors[].toIPAddress', { mask: '24' }, 'a mask'),
  addNeighbour('neighbors.ARPNeighbors[].state', { state: 4 }, 'stale'),
  addNeighbour('neighbors.ARPNeighbors[].flags', { flags: 1 }, 'other flags'),
];
