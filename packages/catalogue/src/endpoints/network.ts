import type { EndpointRows } from '../endpoint.js';

/** The guest's network. */
export const networkRows: EndpointRows<
  | 'UpdateInterface'
  | 'UpdateRoutes'
  | 'ListInterfaces'
  | 'ListRoutes'
  | 'AddARPNeighbors'
  | 'GetIPTables'
  | 'SetIPTables'
> = {
  UpdateInterface: {
    purpose: 'Finds a network interface by its hardware address and sets its name, addresses and MTU.',
    exposure:
      "The caller places the guest in a network of its choice. The host carries every packet anyway, so a workload's " +
      'secrecy must come from TLS, not from here.',
    without: 'The pod has no network; both runtimes give up when the pod has an interface.',
    release: '2.0.0',
    changes: true,
    clients: {
      go: 'once an interface, before CreateSandbox; also when one is added later',
      rs: 'once an interface, before CreateSandbox; up to ten attempts',
    },
  },
  UpdateRoutes: {
    purpose: 'Replaces the routes of the guest and answers with those that stand then.',
    exposure: 'Sends traffic of the pod another way, for example through an observer.',
    without: 'The pod reaches its own subnet at most; both runtimes give up when there are routes to set.',
    release: '2.0.0',
    changes: true,
    clients: {
      go: 'once, after the interfaces, before CreateSandbox',
      rs: 'once, after the neighbours, before CreateSandbox',
    },
  },
  ListInterfaces: {
    purpose: 'Lists the network interfaces of the guest.',
    exposure: 'Names, addresses and MTUs, most of which the host has set itself.',
    without: 'Nothing: no runtime asks. Tools for finding faults miss it.',
    release: '2.0.0',
    changes: false,
    clients: { go: 'never by the shim; its library offers it', rs: 'never' },
  },
  ListRoutes: {
    purpose: 'Lists the routes of the guest.',
    exposure: 'Destinations and gateways, also those that the workload has added itself.',
    without: 'Nothing: no runtime asks. Tools for finding faults miss it.',
    release: '2.0.0',
    changes: false,
    clients: { go: 'never by the shim; its library offers it', rs: 'never' },
  },
  AddARPNeighbors: {
    purpose: "Adds permanent entries to the guest's table of neighbours.",
    exposure: "Ties an address of the subnet to a hardware address of the caller's choice.",
    without:
      'With runtime-rs a pod with static neighbours does not start. The Go runtime takes UNIMPLEMENTED for an older ' +
      'agent and goes on.',
    release: '2.0.0',
    changes: true,
    clients: {
      go: 'once, after the routes, if there are static neighbours',
      rs: 'for static neighbours, before the routes',
    },
  },
  GetIPTables: {
    purpose: 'Runs iptables-save, or ip6tables-save, in the guest and answers with what it prints.',
    exposure: 'The packet filter of the guest, with the addresses and ports that stand in it.',
    without: 'kata-runtime iptables get fails.',
    release: '2.5.0',
    changes: false,
    clients: {
      go: 'when an operator asks through the management socket of the shim',
      rs: 'when an operator asks through the management socket of the shim',
    },
  },
  SetIPTables: {
    purpose: "Replaces the guest's packet filter by what the caller sends, through iptables-restore.",
    exposure: 'Opens ports that the pod closed, redirects its connections, or cuts it off.',
    without: 'kata-runtime iptables set fails, and so do service meshes that are set up that way.',
    release: '2.5.0',
    changes: true,
    clients: {
      go: 'when an operator asks through the management socket of the shim',
      rs: 'when an operator asks through the management socket of the shim',
    },
  },
};
