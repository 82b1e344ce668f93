import type { Interface, Route } from '../network/network-values.js';

/** A default route without a gateway. */
export const sampleRoute: Route = {
  family: 'v4',
  dest: '',
  gateway: '',
  device: 'eth0',
  source: '',
  scope: 0,
  flags: 0,
  mtu: 0,
};

export const sampleInterface: Interface = {
  name: 'eth0',
  hwAddr: '02:00:00:00:00:01',
  mtu: 1500,
  addresses: [],
  devicePath: '',
  rawFlags: 0,
};
