import type { Tools } from '../tool/tools.js';
import { ip, ipPutBack, ipWhereAccepted } from './ip.js';
import type { Family } from './network-values.js';

/** Options of `ip` for one address family. */
export const familyOption: Readonly<Record<Family, string>> = { v4: '-4', v6: '-6' };

/** State in the output of `ip route show` that `ip route replace` does not accept (iproute2, ip/iproute.c). */
const state =
  /\s(?:linkdown|dead|pervasive|unresolved|notify|trap|(?:rt_)?(?:offload|offload_failed|trap)|(?:expires|users|age|error) \S+)(?=\s|$)/g;

/** The table `local`, which the kernel maintains. */
const localTable = / table local( |$)/;

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
