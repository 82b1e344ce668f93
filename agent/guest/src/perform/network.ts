import { linkAtPci, linkWithAddress, type Wanted } from '../device/find-device.js';
import { parsePciPath } from '../device/pci-path.js';
import type { Guest } from '../guest.js';
import {
  checkInterface,
  type Family,
  type Interface,
  type Neighbour,
  type Route,
} from '../network/network-values.js';
import { type Link, links } from '../network/links.js';
import { addNeighbours as add } from '../network/neighbours.js';
import { checkedFilter, readPacketFilter, replacePacketFilter } from '../network/packet-filter.js';
import { listRoutes as routesOf, updateRoutes as replaceRoutes } from '../network/routes.js';
import { updateInterface as change } from '../network/update-interface.js';
import { translated } from '../guest-error.js';

export function updateInterface(guest: Guest, wanted: Interface): Promise<void> {
  const { media, paths, devices } = guest.context;
  const linkOfDevice = (): string => devices.find(wantedLink(wanted));
  return guest.changeWith({
    needs: () => {
      checkInterface(wanted);
      return wanted.devicePath === '' ? [] : [wantedLink(wanted)];
    },
    task: () => change(wanted, { media, proc: paths.proc, linkOfDevice }),
  });
}

function wantedLink({ devicePath, hwAddr }: Interface): Wanted {
  const atPath = linkAtPci(parsePciPath(devicePath));
  const addressed = linkWithAddress(hwAddr);
  return { what: `a link at PCI path ${devicePath}`, find: (roots) => addressed(roots) ?? atPath(roots) };
}

export function listInterfaces({ context }: Guest): Promise<readonly Link[]> {
  return translated(() => links(context.media));
}

/** Returns the routes after the change. */
export function updateRoutes(guest: Guest, routes: readonly Route[]): Promise<readonly Route[]> {
  const { media } = guest.context;
  return guest.change(async () => {
    await replaceRoutes(routes, media);
    return routesOf(media);
  });
}

export function listRoutes({ context }: Guest): Promise<readonly Route[]> {
  return translated(() => routesOf(context.media));
}

export function addNeighbours(guest: Guest, neighbours: readonly Neighbour[]): Promise<void> {
  return guest.change(() => add(neighbours, guest.context.media));
}

export function getPacketFilter({ context }: Guest, family: Family): Promise<Uint8Array> {
  return translated(() => readPacketFilter(family, context.tools));
}

export function setPacketFilter(guest: Guest, family: Family, rules: Uint8Array): Promise<void> {
  const { tools, access } = guest.context;
  return guest.change(() => replacePacketFilter(family, checkedFilter(family, rules, access), tools));
}
