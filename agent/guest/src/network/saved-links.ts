import { type AddressMessage, localAddress, type Rtnetlink } from '@kata-agent/linux';
import { parseHwAddr, readLinks } from './link-calls.js';
import type { Link } from './links.js';
import type { Family } from './network-values.js';
import { SavedNeighbours } from './neighbour-calls.js';
import { runAll, unlessRefused } from './or-restore.js';
import { SavedRoutes } from './saved-routes.js';

const families: ReadonlySet<Family> = new Set(['v4', 'v6']);

/** State that the kernel drops when a link is set down. */
interface Dropped {
  readonly routes: SavedRoutes;
  readonly neighbours: SavedNeighbours;
}

/**
 * A snapshot of links before a change: names, hardware addresses, MTU, addresses, and the routes and neighbours over
 * them.
 */
export class SavedLinks {
  readonly #kernel: Rtnetlink;
  readonly #links: readonly Link[];
  readonly #addresses: readonly AddressMessage[];
  /** Undefined if all are down. */
  readonly #dropped: Dropped | undefined;

  constructor(saved: readonly Link[], kernel: Rtnetlink) {
    this.#kernel = kernel;
    this.#links = saved;
    this.#addresses = addressesOf(saved, kernel);
    this.#dropped = saved.some(({ up }) => up)
      ? { routes: new SavedRoutes(families, kernel), neighbours: new SavedNeighbours(kernel) }
      : undefined;
  }

  /** Attempts each step, whatever fails: a link that keeps a temporary name has its addresses, and is up. */
  restore(): void {
    const kernel = this.#kernel;
    const present = readLinks(kernel);
    const remaining = this.#links.filter(({ index }) => present.some((each) => each.index === index));
    runAll([
      // Two links may have swapped names.
      ...remaining.flatMap(({ index }) => [
        () => kernel.setLink({ index, flags: { Up: false } }),
        () => kernel.setLink({ index, name: temporaryName(index) }),
      ]),
      ...remaining.flatMap(({ index, name, hwAddr, mtu, noArp, up }) => [
        () => kernel.setLink({ index, name }),
        () => {
          if (present.find((each) => each.index === index)?.hwAddr !== hwAddr)
            kernel.setLink({ index, hwAddr: parseHwAddr(hwAddr) });
        },
        () => kernel.setLink({ index, mtu, flags: { NoArp: noArp, Up: up } }),
      ]),
      () => this.#restoreAddresses(remaining),
      () => this.#dropped?.routes.restore(),
      () => this.#dropped?.neighbours.restoreSet(),
    ]);
  }

  /** Sets again the routes of other tables than main. */
  restoreOtherTables(): void {
    this.#dropped?.routes.restoreOtherTables();
  }

  #restoreAddresses(remaining: readonly Link[]): void {
    const kernel = this.#kernel;
    const before = new Set(this.#addresses.map(keyOf));
    const added = addressesOf(remaining, kernel).filter((each) => !before.has(keyOf(each)));
    const kept = this.#addresses.filter(({ index }) => remaining.some((each) => each.index === index));
    runAll([
      ...added.map((each) => () => unlessRefused(['EADDRNOTAVAIL'], () => kernel.deleteAddress(each))),
      ...kept.map((each) => () => unlessRefused(['EEXIST'], () => kernel.addAddress(each))),
    ]);
  }
}

function addressesOf(links: readonly Link[], kernel: Rtnetlink): readonly AddressMessage[] {
  return kernel.addresses().filter(({ index }) => links.some((link) => link.index === index));
}

function keyOf(address: AddressMessage): string {
  return `${address.index} ${localAddress(address)?.toString('hex')}/${address.prefix}`;
}

/** Returns a temporary name. A container that can create links may have given it to one: then the link keeps its name for now. */
function temporaryName(index: number): string {
  return `kata-back${index % 100_000}`;
}
