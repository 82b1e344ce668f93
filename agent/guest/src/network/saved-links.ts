import type { Tools } from '../tool/tools.js';
import { ip, ipPutBack } from './ip.js';
import { type Link, links } from './links.js';
import type { Family } from './network-values.js';
import { SavedNeighbours } from './saved-neighbours.js';
import { SavedRoutes } from './saved-routes.js';

const families: ReadonlySet<Family> = new Set(['v4', 'v6']);

interface Dropped {
  readonly addresses: Uint8Array;
  readonly routes: SavedRoutes;
  readonly neighbours: SavedNeighbours;
}

/**
 * A snapshot of links before a change: names, hardware addresses, MTU, addresses, and the routes and neighbours over
 * them.
 */
export class SavedLinks {
  readonly #tools: Tools;
  readonly #links: readonly Link[];
  /** State that the kernel drops when a link is set down; undefined if all are down. */
  readonly #dropped: Dropped | undefined;

  private constructor(tools: Tools, saved: readonly Link[], dropped?: Dropped) {
    this.#tools = tools;
    this.#links = saved;
    this.#dropped = dropped;
  }

  static async of(saved: readonly Link[], tools: Tools): Promise<SavedLinks> {
    if (!saved.some(({ up }) => up)) return new SavedLinks(tools, saved);
    const addresses = await ip(tools, ['address', 'save']);
    const routes = await SavedRoutes.of(families, tools);
    return new SavedLinks(tools, saved, { addresses, routes, neighbours: await SavedNeighbours.of(tools) });
  }

  async restore(): Promise<void> {
    const present = await links(this.#tools);
    const pairs = this.#links.flatMap((before) => {
      const now = present.find(({ index }) => index === before.index);
      return now === undefined ? [] : [{ before, now }];
    });
    // Two links may have swapped names.
    for (const { before, now } of pairs) await this.#set(now.name, ['down', 'name', temporaryName(before)]);
    for (const { before, now } of pairs) await this.#restoreLink(before, now);
    if (this.#dropped === undefined) return;
    const { addresses, routes, neighbours } = this.#dropped;
    await ip(this.#tools, ['address', 'restore'], addresses);
    await routes.restore();
    await neighbours.restoreSet();
  }

  /** Sets again the routes of other tables than main, over the links with the names that they have now. */
  async restoreOtherTables(): Promise<void> {
    if (this.#dropped === undefined) return;
    const now = await links(this.#tools);
    const renamed = this.#links.flatMap(({ index, name }) => {
      const link = now.find((each) => each.index === index);
      return link === undefined ? [] : [[name, link.name] as const];
    });
    await this.#dropped.routes.restoreOtherTables(new Map(renamed));
  }

  async #restoreLink(before: Link, now: Link): Promise<void> {
    const { name, hwAddr, mtu, noArp, up } = before;
    await this.#set(temporaryName(before), ['name', name]);
    if (now.hwAddr !== hwAddr) await this.#set(name, ['address', hwAddr]);
    const added = (await this.#addressesOf(name)).filter((one) => !has(before, one));
    const commands = added.map(({ address, prefix }) => [
      'address',
      'delete',
      `${address}/${prefix}`,
      'dev',
      name,
    ]);
    await ipPutBack(this.#tools, [], commands);
    await this.#set(name, ['mtu', String(mtu), 'arp', noArp ? 'off' : 'on', up ? 'up' : 'down']);
  }

  async #addressesOf(name: string): Promise<Link['addresses']> {
    return (await links(this.#tools)).find((link) => link.name === name)?.addresses ?? [];
  }

  async #set(name: string, words: readonly string[]): Promise<void> {
    await ip(this.#tools, ['link', 'set', 'dev', name, ...words]);
  }
}

/** Returns a temporary name, which no link has. */
function temporaryName({ index }: Link): string {
  return `kata-back${index % 100_000}`;
}

function has({ addresses }: Link, { address, prefix }: Link['addresses'][number]): boolean {
  return addresses.some((one) => one.address === address && one.prefix === prefix);
}
