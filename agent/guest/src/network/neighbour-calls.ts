import { isIP } from 'node:net';
import {
  type Commitment,
  AddressFamily,
  encodeIpAddress,
  NeighbourFlag,
  type NeighbourMessage,
  NeighbourState,
  type Rtnetlink,
} from '@kata-agent/linux';
import { changeableLinks, parseHwAddr } from './link-calls.js';
import type { Neighbour } from './network-values.js';
import { orRestore, runAll, unlessRefused } from './or-restore.js';
import { explainRefusal } from './refusal.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Sets checked neighbours, or none. */
    readonly setNeighbours: (args: { readonly neighbours: readonly Neighbour[] }) => void;
  }
}

/** Sets neighbours; if the kernel refuses one, the previous ones are restored. */
export function setNeighbours(neighbours: readonly Neighbour[], kernel: Rtnetlink, call: Commitment): void {
  const indexOf = changeableLinks(new Set(neighbours.map(({ device }) => device)), kernel);
  const messages = neighbours.map((each) => encodedNeighbour(each, indexOf(each.device)));
  const saved = new SavedNeighbours(kernel);
  orRestore({
    make() {
      for (const [at, message] of messages.entries())
        explainRefusal(`neighbour ${neighbours[at]?.address} dev ${neighbours[at]?.device}`, () =>
          kernel.replaceNeighbour(message),
        );
    },
    restore: () => saved.restore(messages),
    call,
  });
}

/** Encodes a neighbour; permanent is the default. `index`: of its link. */
export function encodedNeighbour(
  { address, hwAddr, state, flags }: Neighbour,
  index: number,
): NeighbourMessage {
  const entry = {
    family: isIP(address) === 4 ? AddressFamily.Inet : AddressFamily.Inet6,
    index,
    address: encodeIpAddress(address),
  };
  // A proxy entry answers for the address: it has neither hardware address nor state.
  if ((flags & NeighbourFlag.Proxy) !== 0)
    return { ...entry, state: NeighbourState.Permanent, flags: NeighbourFlag.Proxy, hwAddr: Buffer.alloc(0) };
  return {
    ...entry,
    state: state === 0 ? NeighbourState.Permanent : state,
    flags,
    hwAddr: parseHwAddr(hwAddr),
  };
}

/** A snapshot of neighbours before a change. */
export class SavedNeighbours {
  readonly #kernel: Rtnetlink;
  readonly #entries: Entries;

  constructor(kernel: Rtnetlink) {
    this.#kernel = kernel;
    this.#entries = entriesOf(kernel);
  }

  /** Restores permanent entries: the kernel drops them when a link is set down. */
  restoreSet(): void {
    const isSet = ({ state, flags }: NeighbourMessage): boolean =>
      (state & NeighbourState.Permanent) !== 0 || (flags & NeighbourFlag.Proxy) !== 0;
    this.restore([...this.#entries.values()].filter(isSet));
  }

  /** Restores entries that have changed, and deletes new ones. */
  restore(changed: readonly NeighbourMessage[]): void {
    const kernel = this.#kernel;
    const now = entriesOf(kernel);
    const keys = new Map(changed.map((each) => [keyOf(each), each]));
    runAll(
      [...keys].flatMap(([key, entry]) => {
        const [before, after] = [this.#entries.get(key), now.get(key)];
        if (before !== undefined)
          return isSame(before, after) ? [] : [() => kernel.replaceNeighbour(settable(before))];
        return after === undefined
          ? []
          : [() => unlessRefused(['ENOENT', 'ESRCH'], () => kernel.deleteNeighbour(entry))];
      }),
    );
  }
}

type Entries = ReadonlyMap<string, NeighbourMessage>;

function entriesOf(kernel: Rtnetlink): Entries {
  return new Map([...kernel.neighbours(), ...kernel.proxies()].map((each) => [keyOf(each), each]));
}

/** An address may have an entry and a proxy entry. */
function keyOf({ index, address, flags }: NeighbourMessage): string {
  return `${index} ${address.toString('hex')} ${flags & NeighbourFlag.Proxy}`;
}

/** Proxy entries of one address do not differ. */
function isSame(before: NeighbourMessage, after: NeighbourMessage | undefined): boolean {
  if (after === undefined) return false;
  if ((before.flags & NeighbourFlag.Proxy) !== 0) return true;
  return before.state === after.state && before.flags === after.flags && before.hwAddr.equals(after.hwAddr);
}

/** Returns an entry without the flags that the kernel sets (NTF_OFFLOADED, …). */
function settable(entry: NeighbourMessage): NeighbourMessage {
  const { Proxy, ExternallyLearned, Router } = NeighbourFlag;
  return { ...entry, flags: entry.flags & (Proxy | ExternallyLearned | Router) };
}
