import type { HostMedia } from '../media/host-media.js';
import { checkCount, checkRoute, type Route } from './network-values.js';

/**
 * Sets routes of the main table; replaces existing ones. All are checked before the first is set; if the kernel refuses one, the
 * previous routes are restored.
 */
export async function updateRoutes(routes: readonly Route[], media: HostMedia): Promise<void> {
  checkCount('routes', routes.length);
  for (const route of routes) checkRoute(route);
  await media.run('setRoutes', { routes });
}

/** Returns the routes of the main table, IPv4 first. */
export function listRoutes(media: HostMedia): Promise<readonly Route[]> {
  return media.run('readRoutes', {});
}
