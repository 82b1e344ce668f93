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
      'The caller attaches the guest to a network of its choice. The host carries every packet anyway, so ' +
      'confidentiality must come from TLS.',
    without: 'The pod has no network; in both runtimes a pod with an interface fails to start.',
    release: '2.0.0',
    changes: true,
    clients: {
      go: 'once an interface, before CreateSandbox; also when one is added later',
      rs: 'once an interface, before CreateSandbox; up to ten attempts',
    },
  },
  UpdateRoutes: {
    purpose: 'Replaces the routes of the guest and returns the resulting ones.',
    exposure: 'Redirects traffic of the pod, for example through an observer.',
    without: 'The pod reaches its own subnet at most; in both runtimes a pod with routes fails to start.',
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
    without: 'Nothing: no runtime calls it. Debugging tools lose the information.',
    release: '2.0.0',
    changes: false,
    clients: { go: 'never by the shim; its library offers it', rs: 'never' },
  },
  ListRoutes: {
    purpose: 'Lists the routes of the guest.',
    exposure: 'Destinations and gateways, including those that the workload has added.',
    without: 'Nothing: no runtime calls it. Debugging tools lose the information.',
    release: '2.0.0',
    changes: false,
    clients: { go: 'never by the shim; its library offers it', rs: 'never' },
  },
  AddARPNeighbors: {
    purpose: "Adds permanent entries to the guest's table of neighbours.",
    exposure: "Binds an address of the subnet to a hardware address of the caller's choice.",
    without:
      'With runtime-rs a pod with static neighbours does not start. The Go runtime takes UNIMPLEMENTED for an older ' +
      'agent and continues.',
    release: '2.0.0',
    changes: true,
    clients: {
      go: 'once, after the routes, if there are static neighbours',
      rs: 'for static neighbours, before the routes',
    },
  },
  GetIPTables: {
    purpose: 'Runs iptables-save, or ip6tables-save, in the guest and returns its output.',
    exposure: 'The packet filter of the guest, including its addresses and ports.',
    without: 'kata-runtime iptables get fails.',
    release: '2.5.0',
    changes: false,
    clients: {
      go: 'when an operator asks through the management socket of the shim',
      rs: 'when an operator asks through the management socket of the shim',
    },
  },
  SetIPTables: {
    purpose: "Replaces the guest's packet filter with the caller's, through iptables-restore.",
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
