import {
  attributeOf,
  decodeRoute,
  encodeRoute,
  maskNextHopFlags,
  RouteAttribute,
  RouteFlag,
  type RouteMessage,
  RouteProtocol,
  RouteTable,
  type Rtnetlink,
} from '@kata-agent/linux';
import type { Family } from './network-values.js';
import { runAll, unlessRefused, whereAccepted } from './or-restore.js';
import { addressFamily } from './route-encoding.js';

/**
 * A snapshot of the routes of all tables but `local`, before a change, as the kernel lists them: a link that goes down
 * drops its routes in every table. The kernel maintains the table `local`.
 */
export class SavedRoutes {
  readonly #kernel: Rtnetlink;
  readonly #routes: ReadonlyMap<Family, SavedTable>;

  constructor(families: ReadonlySet<Family>, kernel: Rtnetlink) {
    this.#kernel = kernel;
    this.#routes = new Map([...families].map((family) => [family, savedTable(family, kernel)]));
  }

  /**
   * Deletes routes that a request may have set since, and sets those that have changed or are missing. One family is
   * tried if the other fails.
   */
  restore(): void {
    const kernel = this.#kernel;
    runAll(
      [...this.#routes].flatMap(([family, before]) => {
        const now = savedTable(family, kernel);
        // The kernel adds and deletes other routes by itself.
        const added = without(now, before).filter(({ protocol }) => protocol === RouteProtocol.Boot);
        return [
          ...added.map((route) => () => unlessRefused(['ESRCH', 'ENOENT'], () => kernel.deleteRoute(route))),
          ...directFirst(without(before, now)).map((route) => () => kernel.replaceRoute(route)),
        ];
      }),
    );
  }

  /**
   * Sets again the routes of other tables than main, after a change that has set links down: UpdateRoutes sets those of
   * main, and nobody these. A route that rests on an address which a link no longer has is left out, as the kernel drops it.
   */
  restoreOtherTables(): void {
    for (const [family, before] of this.#routes) {
      const missing = without(before, savedTable(family, this.#kernel));
      for (const route of directFirst(missing.filter(({ table }) => table !== RouteTable.Main)))
        whereAccepted(() => this.#kernel.replaceRoute(route));
    }
  }
}

/** The bytes of routes, as texts: tens of thousands of them must fit in the memory of a thread, twice. */
type SavedTable = ReadonlySet<string>;

function savedTable(family: Family, kernel: Rtnetlink): SavedTable {
  const routes = kernel.routes(addressFamily[family]).filter(({ table }) => table !== RouteTable.Local);
  return new Set(routes.map((route) => encodeRoute(withoutState(route)).toString('latin1')));
}

/** Returns a route without what the kernel says of its state, and does not accept. */
function withoutState(route: RouteMessage): RouteMessage {
  const attributes = route.attributes
    .filter(({ type }) => type !== RouteAttribute.CacheInfo)
    .map(({ type, value }) =>
      type === RouteAttribute.Multipath
        ? { type, value: maskNextHopFlags(value, RouteFlag.OnLink) }
        : { type, value },
    );
  return { ...route, flags: route.flags & RouteFlag.OnLink, attributes };
}

function without(routes: SavedTable, others: SavedTable): readonly RouteMessage[] {
  return [...routes]
    .filter((route) => !others.has(route))
    .map((route) => decodeRoute(Buffer.from(route, 'latin1')));
}

/** A gateway must be reachable when a route over it is created. */
function directFirst(routes: readonly RouteMessage[]): readonly RouteMessage[] {
  return [...routes.filter(isDirect), ...routes.filter((route) => !isDirect(route))];
}

function isDirect({ attributes }: RouteMessage): boolean {
  const { Gateway, Via, Multipath } = RouteAttribute;
  return [Gateway, Via, Multipath].every((type) => attributeOf(attributes, type) === undefined);
}
