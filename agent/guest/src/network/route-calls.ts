import { isIP } from 'node:net';
import { type Commitment, RouteTable, type Rtnetlink } from '@kata-agent/linux';
import { changeableLinks, readLinks } from './link-calls.js';
import type { Family, Route } from './network-values.js';
import { orRestore } from './or-restore.js';
import { explainRefusal, linkNotFound } from './refusal.js';
import { addressFamily, decodedRoute, encodedLocalRoute, encodedRoute, routeText } from './route-encoding.js';
import { SavedRoutes } from './saved-routes.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Returns the routes of the main table, IPv4 first. */
    readonly readRoutes: (args: Readonly<Record<string, never>>) => readonly Route[];
    /** Sets checked routes of the main table, or none. */
    readonly setRoutes: (args: { readonly routes: readonly Route[] }) => void;
    /** Keeps the traffic to addresses in the guest (`LocalAddresses`). */
    readonly keepLocal: (args: { readonly addresses: readonly string[] }) => void;
  }
}

const families: readonly Family[] = ['v4', 'v6'];

export function readRoutes(kernel: Rtnetlink): readonly Route[] {
  const names = new Map(kernel.links().map(({ index, name }) => [index, name]));
  const nameOf = (index: number): string => names.get(index) ?? '';
  return families.flatMap((family) =>
    kernel.routes(addressFamily[family], RouteTable.Main).map((route) => decodedRoute(route, family, nameOf)),
  );
}

/**
 * Sets routes of the main table. Those without a gateway come first: a gateway must be reachable when a route over it is created. If
 * the kernel refuses one, the previous routes are restored.
 */
export function setRoutes(routes: readonly Route[], kernel: Rtnetlink, call: Commitment): void {
  const indexOf = changeableLinks(new Set(routes.map(({ device }) => device)), kernel);
  const saved = new SavedRoutes(new Set(routes.map(({ family }) => family)), kernel);
  const direct = routes.filter(({ gateway }) => gateway === '');
  const overGateway = routes.filter(({ gateway }) => gateway !== '');
  orRestore({
    make() {
      for (const route of [...direct, ...overGateway])
        explainRefusal(routeText(route), () =>
          kernel.replaceRoute(encodedRoute(route, indexOf(route.device))),
        );
    },
    restore: () => saved.restore(),
    call,
  });
}

/** Sets a route of the table `local` for each address. As the guest's init does, sets the loopback interface up: a route needs that. */
export function keepLocal(addresses: readonly string[], kernel: Rtnetlink): void {
  const loopback = readLinks(kernel).find((link) => link.loopback);
  if (loopback === undefined) throw linkNotFound('Name: lo');
  explainRefusal('interface lo', () => kernel.setLink({ index: loopback.index, flags: { Up: true } }));
  for (const address of addresses) {
    const family = isIP(address) === 4 ? 'v4' : 'v6';
    explainRefusal(`route local ${address} dev lo`, () =>
      kernel.replaceRoute(encodedLocalRoute(address, family, loopback.index)),
    );
  }
}
