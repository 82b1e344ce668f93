import type { NetworkSummary } from '@kata-agent/catalogue';
import { createHash } from 'node:crypto';
import type { SetIPTablesRequest } from '@kata-agent/protocol/agent';
import type { ARPNeighbor, Interface, IPAddress, Route } from '@kata-agent/protocol/types';

export function networkInterface(wanted: Interface | undefined): NetworkSummary {
  if (wanted === undefined) return {};
  const { name, device, devicePath, hwAddr, mtu, IPAddresses } = wanted;
  return {
    interface: {
      name,
      device: devicePath === '' ? device : devicePath,
      hardwareAddress: hwAddr,
      mtu: String(mtu),
      addresses: IPAddresses.map(addressText),
    },
  };
}

export function routes(list: readonly Route[]): NetworkSummary {
  const entry = ({ dest, gateway, device, source }: Route) => ({
    destination: dest,
    gateway,
    device,
    source,
  });
  return { routes: list.map(entry) };
}

export function neighbours(list: readonly ARPNeighbor[]): NetworkSummary {
  return {
    neighbours: list.map(({ toIPAddress, device, lladdr }) => ({
      address: toIPAddress?.address ?? '',
      device,
      hardwareAddress: lladdr,
    })),
  };
}

/** Summarizes a packet filter, whose text can be as long as a frame. */
export function packetFilter({ isIpv6, data }: SetIPTablesRequest): NetworkSummary {
  const sha256 = createHash('sha256').update(data).digest('hex');
  return { packetFilter: { family: isIpv6 ? 'ipv6' : 'ipv4', bytes: String(data.length), sha256 } };
}

function addressText({ address, mask }: IPAddress): string {
  return mask === '' ? address : `${address}/${mask}`;
}
