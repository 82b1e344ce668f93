import { join } from 'node:path';
import { readIfThere } from '@kata-agent/base';
import type { Tools } from '../tool/tools.js';
import { checkInterface, type Family, type Interface } from './network-values.js';
import { ip, ipBatch, ipPutBack, orRestore } from './ip.js';
import { type Link, linkNotFound, links } from './links.js';
import { refuseLoopbackLink } from './loopback.js';
import { SavedNeighbours } from './neighbours.js';
import { SavedRoutes } from './routes.js';

const families: ReadonlySet<Family> = new Set(['v4', 'v6']);

const IFF_NOARP = 0x80;

export interface InterfaceContext {
  readonly tools: Tools;
  /** `/proc`. */
  readonly proc: string;
  /** Returns the name of the link of a PCI device. Throws if it does not exist. */
  readonly linkOfDevice: (devicePath: string) => string;
}

/**
 * Configures an interface as requested: finds it by hardware address (or else by PCI path, and sets the address),
 * renames it, sets addresses and MTU, and sets it up. Routes of other tables than main stay. Everything is checked before anything is changed; if the kernel
 * refuses something, the previous state is restored.
 */
export async function updateInterface(wanted: Interface, context: InterfaceContext): Promise<void> {
  checkInterface(wanted);
  const { tools } = context;
  const present = await links(tools);
  const named = linkNamed(present, wanted.name);
  if (named !== undefined) refuseLoopbackLink(named);
  const found = findLink(wanted, present, context);
  refuseLoopbackLink(found);
  const touched = named === undefined || named === found ? [found] : [found, named];
  const saved = await SavedLinks.of(touched, tools);
  await orRestore(
    async () => {
      const link = await withHwAddr(found, wanted.hwAddr, tools);
      if (link.up) await ip(tools, ['link', 'set', 'dev', link.name, 'down']);
      await takeName(link, wanted.name, named, tools);
      await bringUp(wanted, context);
      await saved.restoreOtherTables();
    },
    () => saved.restore(),
  );
}

async function bringUp(wanted: Interface, { tools, proc }: InterfaceContext): Promise<void> {
  const arp = (wanted.rawFlags & IFF_NOARP) === 0 ? 'on' : 'off';
  const mtu = wanted.mtu === 0 ? [] : ['mtu', String(wanted.mtu)];
  await ip(tools, ['link', 'set', 'dev', wanted.name, ...mtu, 'arp', arp, 'up']);
  const v6 = hasIPv6(proc);
  const commands = wanted.addresses
    // A guest without IPv6 accepts a dual-stack pod, without its IPv6 addresses.
    .filter(({ address }) => v6 || !address.includes(':'))
    .map(({ address, prefix }) => {
      // nodad: the host's network plug-in guarantees that the address is unique; an address in duplicate detection
      // cannot be the source of a route.
      const nodad = address.includes(':') ? ['nodad'] : [];
      return ['address', 'replace', `${address}/${prefix}`, 'dev', wanted.name, ...nodad];
    });
  await ipBatch(tools, [], commands);
}

/** The hardware address decides, as in Kata's agent: the host's idea of a PCI path may differ from the guest's. */
function findLink(wanted: Interface, present: readonly Link[], { linkOfDevice }: InterfaceContext): Link {
  const { devicePath, hwAddr, name } = wanted;
  const addressed = hwAddr === '' ? undefined : present.find((each) => each.hwAddr === hwAddr.toLowerCase());
  if (addressed !== undefined) return addressed;
  if (devicePath !== '') {
    const device = linkOfDevice(devicePath);
    const link = linkNamed(present, device);
    if (link === undefined) throw linkNotFound(`Name: ${device}`);
    return link;
  }
  // A machine cloned from a template has the network card of the original, under the same name.
  const link = linkNamed(present, name);
  if (link === undefined) throw linkNotFound(`Address: ${hwAddr}`);
  return link;
}

function linkNamed(present: readonly Link[], name: string): Link | undefined {
  return present.find((link) => link.name === name);
}

/** Sets a link's hardware address, if one is requested; most drivers require the link to be down. */
async function withHwAddr(link: Link, hwAddr: string, tools: Tools): Promise<Link> {
  if (hwAddr === '' || link.hwAddr === hwAddr.toLowerCase()) return link;
  await ip(tools, ['link', 'set', 'dev', link.name, 'down']);
  await ip(tools, ['link', 'set', 'dev', link.name, 'address', hwAddr]);
  return { ...link, up: false, hwAddr: hwAddr.toLowerCase() };
}

/** Renames a link that is down. Another link with that name gets this one's old name. */
async function takeName(link: Link, name: string, other: Link | undefined, tools: Tools): Promise<void> {
  if (link.name === name) return;
  if (other === undefined) {
    await ip(tools, ['link', 'set', 'dev', link.name, 'name', name]);
    return;
  }
  const temporary = `kata-swap${process.pid % 100_000}`;
  if (other.up) await ip(tools, ['link', 'set', 'dev', other.name, 'down']);
  await ip(tools, ['link', 'set', 'dev', other.name, 'name', temporary]);
  await ip(tools, ['link', 'set', 'dev', link.name, 'name', name]);
  await ip(tools, ['link', 'set', 'dev', temporary, 'name', link.name]);
  if (other.up) await ip(tools, ['link', 'set', 'dev', link.name, 'up']);
}

/** Reports whether the kernel has IPv6 and it is enabled for new links. */
function hasIPv6(proc: string): boolean {
  return ['all', 'default'].some(
    (conf) =>
      readIfThere(join(proc, `sys/net/ipv6/conf/${conf}/disable_ipv6`))
        ?.toString()
        .trim() === '0',
  );
}

interface Dropped {
  readonly addresses: Uint8Array;
  readonly routes: SavedRoutes;
  readonly neighbours: SavedNeighbours;
}

/**
 * A snapshot of links before a change: names, hardware addresses, MTU, addresses, and the routes and neighbours over
 * them.
 */
class SavedLinks {
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
