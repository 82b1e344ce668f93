import type { Guest } from '../guest.js';
import type { Route } from '../network/network-values.js';
import { listRoutes, updateRoutes as update } from '../network/routes.js';

/** Answers the routes that there are then. */
export function updateRoutes(guest: Guest, routes: readonly Route[]): Promise<readonly Route[]> {
  const { tools } = guest.context;
  return guest.change(async () => {
    await update(routes, tools);
    return listRoutes(tools);
  });
}
