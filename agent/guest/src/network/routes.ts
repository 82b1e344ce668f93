import type { Tools } from '../tool/tools.js';
import { checkCount, checkRoute } from './check-network.js';
import { ip, ipBatch } from './ip.js';
import { checkChangeable } from './links.js';
import type { Family, Route } from './network-values.js';
import { orRestore } from './or-restore.js';
import { familyOption, SavedRoutes } from './saved-routes.js';

const RTNH_F_ONLINK = 4;
const fullPrefix: Readonly<Record<Family, string>> = { v4: '/32', v6: '/128' };

/** The fields of `ip -json -N route show` that are used (iproute2, ip/iproute.c): numbers, absent if zero. */
interface ShownRoute {
  readonly dst?: string;
  readonly gateway?: string;
  readonly via?: { readonly host?: string };
  readonly dev?: string;
  readonly prefsrc?: string;
  readonly scope?: string;
  readonly flags?: readonly string[];
  readonly metrics?: readonly { readonly mtu?: number }[];
}

/**
 * Sets routes of the main table; replaces existing ones. Those without a gateway come first: a gateway must be
 * reachable when a route over it is created. All are checked before the first is set; if the kernel refuses one, the
 * previous routes are restored.
 */
export async function updateRoutes(routes: readonly Route[], tools: Tools): Promise<void> {
  checkCount('routes', routes.length);
  for (const route of routes) checkRoute(route);
  await checkChangeable(tools, new Set(routes.map(({ device }) => device)));
  const direct = routes.filter(({ gateway }) => gateway === '');
  const overGateway = routes.filter(({ gateway }) => gateway !== '');
  const families = new Set(routes.map(({ family }) => family));
  const saved = await SavedRoutes.of(families, tools);
  await orRestore(
    async () => {
      for (const family of families) {
        const ordered = [...direct, ...overGateway].filter((route) => route.family === family);
        await ipBatch(tools, [familyOption[family]], ordered.map(routeArguments));
      }
    },
    () => saved.restore(),
  );
}

/** Returns the words of an `ip -4` or `ip -6` command that sets a route. */
export function routeArguments(route: Route): readonly string[] {
  const { family, dest, gateway, device, source, scope, flags, mtu } = route;
  // A source with full prefix length is the preferred source address; another prefix makes a source-specific route (IPv6).
  const sender = source.replace(fullPrefix[family], '');
  const from = sender.includes('/') ? ['from', sender] : ['src', sender];
  return [
    'route',
    'replace',
    dest === '' ? 'default' : dest,
    ...(source !== '' && from[0] === 'from' ? from : []),
    ...(gateway === '' ? [] : ['via', gateway]),
    'dev',
    device,
    ...((flags & RTNH_F_ONLINK) === 0 ? [] : ['onlink']),
    ...(source !== '' && from[0] === 'src' ? from : []),
    'proto',
    'boot',
    // IPv6 has no scopes.
    ...(family === 'v4' ? ['scope', String(scope)] : []),
    ...(mtu === 0 ? [] : ['mtu', String(mtu)]),
  ];
}

/** Returns the routes of the main table, IPv4 first. */
export async function listRoutes(tools: Tools): Promise<readonly Route[]> {
  return [...(await routesOf('v4', tools)), ...(await routesOf('v6', tools))];
}

async function routesOf(family: Family, tools: Tools): Promise<readonly Route[]> {
  const args = ['-json', '-N', familyOption[family], 'route', 'show', 'table', 'main'];
  const shown = JSON.parse((await ip(tools, args)).toString() || '[]') as readonly ShownRoute[];
  return shown.map((route) => ({
    family,
    dest: destinationOf(route.dst, family),
    gateway: route.gateway ?? route.via?.host ?? '',
    device: route.dev ?? '',
    source: route.prefsrc ?? '',
    scope: Number(route.scope ?? 0),
    flags: route.flags?.includes('onlink') === true ? RTNH_F_ONLINK : 0,
    mtu: route.metrics?.find(({ mtu }) => mtu !== undefined)?.mtu ?? 0,
  }));
}

function destinationOf(shown: string | undefined, family: Family): string {
  if (shown === undefined || shown === 'default') return family === 'v4' ? '0.0.0.0/0' : '::/0';
  return shown.includes('/') ? shown : `${shown}${fullPrefix[family]}`;
}
