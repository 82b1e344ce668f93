import type { Tools } from '../tool/tools.js';
import { ip } from './ip.js';
import type { Family } from './network-values.js';

const option: Readonly<Record<Family, string>> = { v4: '-4', v6: '-6' };

/** What `ip route show` says of a route's state, which `ip route replace` does not take (iproute2, ip/iproute.c). */
const state =
  /\s(?:linkdown|dead|pervasive|unresolved|notify|trap|(?:rt_)?(?:offload|offload_failed|trap)|(?:expires|users|age|error) \S+)(?=\s|$)/g;

/**
 * The routes of the main table as they are before a change, in `ip`'s own words. (The form of `ip route save` is read again from
 * a file alone.)
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
    for (const family of families) {
      const args = ['-details', '-oneline', option[family], 'route', 'show', 'table', 'main'];
      const lines = (await ip(tools, args)).toString().split('\n');
      // Each next hop of a route has a line of its own, which `-oneline` marks.
      const words = lines.map((line) => line.replaceAll('\\', ' ').replace(state, '').trim());
      routes.set(
        family,
        words.filter((line) => line !== ''),
      );
    }
    return new SavedRoutes(tools, routes);
  }

  /** Sets those that have changed or are missing. Others stay. */
  async restore(): Promise<void> {
    for (const [family, routes] of this.#routes) {
      const isDirect = (route: string): boolean => !/ via /.test(route);
      // A gateway has to be reachable when a route over it is made.
      const ordered = [...routes.filter(isDirect), ...routes.filter((route) => !isDirect(route))];
      const commands = ordered.map((route) => `route replace ${route}\n`).join('');
      if (commands !== '') await ip(this.#tools, [option[family], '-batch', '-'], Buffer.from(commands));
    }
  }
}
