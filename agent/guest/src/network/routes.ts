import type { Tools } from '../tool/tools.js';
import { checkCount, checkRoute, type Family, type Route } from './network-values.js';
import { familyOption, ip, ipBatch, ipPutBack, ipWhereAccepted, orRestore } from './ip.js';
import { checkChangeable } from './links.js';

/** State in the output of `ip route show` that `ip route replace` does not accept (iproute2, ip/iproute.c). */
const state =
  /\s(?:linkdown|dead|pervasive|unresolved|notify|trap|(?:rt_)?(?:offload|offload_failed|trap)|(?:expires|users|age|error) \S+)(?=\s|$)/g;

/** The table `local`, which the kernel maintains. */
const localTable = / table local( |$)/;

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

/**
 * A snapshot of the routes of all tables but `local`, before a change, in `ip`'s own notation: a link that goes down
 * drops its routes in every table. (`ip route restore` reads the form of `ip route save` from a file only.)
 */
export class SavedRoutes {
  readonly #tools: Tools;
  readonly #routes: ReadonlyMap<Family, readonly string[]>;

  private constructor(tools: Tools, routes: ReadonlyMap<Family, readonly string[]>) {
    this.#tools = tools;
    this.#routes = routes;
  }

  static async of(families: ReadonlySet<Family>, tools: Tools): Promise<SavedRoutes> {
    const routes = new Map<Family, readonly string[]>();
    for (const family of families) routes.set(family, await shownRoutes(family, tools));
    return new SavedRoutes(tools, routes);
  }

  /**
   * Deletes routes that a request may have set since, and sets those that have changed or are missing. One family is
   * tried if the other fails.
   */
  async restore(): Promise<void> {
    const tried = [...this.#routes].map((routes) => this.#restoreFamily(routes));
    const failed = (await Promise.allSettled(tried)).flatMap((each) =>
      each.status === 'rejected' ? [String(each.reason)] : [],
    );
    if (failed.length > 0) throw new Error(failed.join('; '));
  }

  /**
   * Sets again the routes of other tables than main, after a change that has set links down: UpdateRoutes sets those of
   * main, and nobody these. A route that rests on an address which a link no longer has is left out, as the kernel drops it.
   *
   * @param renamed the new names of links, by the old ones.
   */
  async restoreOtherTables(renamed: ReadonlyMap<string, string>): Promise<void> {
    for (const [family, before] of this.#routes) {
      const present = new Set(await shownRoutes(family, this.#tools));
      const missing = before
        .filter((route) => / table /.test(route))
        .map((route) =>
          route.replace(/ dev (\S+)/g, (_, name: string) => ` dev ${renamed.get(name) ?? name}`),
        )
        .filter((route) => !present.has(route));
      const commands = [...missing.filter(isDirect), ...missing.filter((route) => !isDirect(route))];
      await ipWhereAccepted(
        this.#tools,
        [familyOption[family]],
        commands.map((route) => `route replace ${route}`.split(' ')),
      );
    }
  }

  async #restoreFamily([family, before]: readonly [Family, readonly string[]]): Promise<void> {
    const now = await shownRoutes(family, this.#tools);
    const [kept, present] = [new Set(before), new Set(now)];
    // The kernel adds and deletes other routes by itself.
    const added = now.filter((route) => !kept.has(route) && / proto boot( |$)/.test(route));
    const missing = before.filter((route) => !present.has(route));
    const commands = [
      ...added.map((route) => `route delete ${route}`),
      // A gateway must be reachable when a route over it is created.
      ...missing.filter(isDirect).map((route) => `route replace ${route}`),
      ...missing.filter((route) => !isDirect(route)).map((route) => `route replace ${route}`),
    ];
    await ipPutBack(
      this.#tools,
      [familyOption[family]],
      commands.map((command) => command.split(' ')),
    );
  }
}

/** A gateway must be reachable when a route over it is created. */
function isDirect(route: string): boolean {
  return !/ via /.test(route);
}

/** Returns a line for each route, without its state. */
async function shownRoutes(family: Family, tools: Tools): Promise<readonly string[]> {
  const args = ['-details', '-oneline', familyOption[family], 'route', 'show', 'table', 'all'];
  const lines = (await ip(tools, args)).toString().split('\n');
  // Each next hop of a route has a line of its own, which `-oneline` marks.
  const routes = lines.map((line) =>
    line.replaceAll('\\', ' ').replace(state, '').trim().replace(/\s+/g, ' '),
  );
  return routes.filter((line) => line !== '' && !localTable.test(line));
}
