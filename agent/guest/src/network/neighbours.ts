import { isIP, SocketAddress } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { GuestError } from '../guest-error.js';
import type { Tools } from '../tool/tools.js';
import { checkCount, checkNeighbour, type Neighbour } from './network-values.js';
import { ip, ipBatch, ipPutBack, orRestore } from './ip.js';
import { checkChangeable } from './links.js';

const NUD_PERMANENT = 0x80;
const NTF_PROXY = 0x08;

/** Linux, include/uapi/linux/neighbour.h; names as in iproute2. */
const flagWords: ReadonlyMap<number, string> = new Map([
  [0x01, 'use'],
  [NTF_PROXY, 'proxy'],
  [0x10, 'extern_learn'],
  [0x80, 'router'],
]);

/**
 * Sets neighbours; replaces existing ones. All are checked before the first is set; if the kernel refuses one, the
 * previous ones are restored.
 */
export async function addNeighbours(neighbours: readonly Neighbour[], tools: Tools): Promise<void> {
  checkCount('neighbours', neighbours.length);
  const commands = neighbours.map(neighbourArguments);
  await checkChangeable(tools, new Set(neighbours.map(({ device }) => device)));
  const saved = await SavedNeighbours.of(tools);
  const keys = neighbours.map(({ address, device, flags }) => ({
    address,
    device,
    proxy: (flags & NTF_PROXY) !== 0,
  }));
  await orRestore(
    () => ipBatch(tools, [], commands),
    () => saved.restore(keys),
  );
}

/** Returns the words of an `ip` command that sets a neighbour. */
export function neighbourArguments(neighbour: Neighbour): readonly string[] {
  checkNeighbour(neighbour);
  const { address, device, hwAddr, state, flags } = neighbour;
  if (!Number.isInteger(state) || state < 0 || state > 0xff)
    throw new GuestError('invalid', `state ${state} of neighbour ${address} must be from 0 to 255`);
  const words = wordsOf(flags, address);
  // A proxy entry answers for the address: it has neither hardware address nor state.
  if ((flags & NTF_PROXY) !== 0) return ['neighbour', 'replace', 'proxy', address, 'dev', device];
  return [
    'neighbour',
    'replace',
    address,
    ...(hwAddr === '' ? [] : ['lladdr', hwAddr]),
    'dev',
    device,
    'nud',
    String(state === 0 ? NUD_PERMANENT : state),
    ...words,
  ];
}

function wordsOf(flags: number, address: string): readonly string[] {
  let rest = flags;
  const words: string[] = [];
  for (const [bit, word] of flagWords) {
    if ((rest & bit) === 0) continue;
    words.push(word);
    rest &= ~bit;
  }
  if (rest !== 0) throw new GuestError('invalid', `flags ${flags} of neighbour ${address} are not all known`);
  return words;
}

/**
 * The fields of `ip -json neighbour show` that are used (iproute2, ip/ipneigh.c). Flags are members without a value.
 */
interface ShownNeighbour {
  readonly dst?: string;
  readonly dev?: string;
  readonly lladdr?: string;
  readonly router?: null;
  readonly extern_learn?: null;
  readonly state?: readonly string[];
}

interface Key {
  readonly address: string;
  readonly device: string;
  readonly proxy: boolean;
}

/** A snapshot of neighbours before a change. */
export class SavedNeighbours {
  readonly #tools: Tools;
  readonly #neighbours: readonly ShownNeighbour[];
  readonly #proxies: readonly ShownNeighbour[];

  private constructor(
    tools: Tools,
    neighbours: readonly ShownNeighbour[],
    proxies: readonly ShownNeighbour[],
  ) {
    this.#tools = tools;
    this.#neighbours = neighbours;
    this.#proxies = proxies;
  }

  static async of(tools: Tools): Promise<SavedNeighbours> {
    return new SavedNeighbours(tools, await shown(tools, []), await shown(tools, ['proxy']));
  }

  /** Restores permanent entries: the kernel drops them when a link is set down. */
  async restoreSet(): Promise<void> {
    const set = this.#neighbours.filter(
      ({ state = [] }) => state.includes('PERMANENT') || state.includes('NOARP'),
    );
    const keys = (all: readonly ShownNeighbour[], proxy: boolean): readonly Key[] =>
      all.flatMap(({ dst, dev }) =>
        dst === undefined || dev === undefined ? [] : [{ address: dst, device: dev, proxy }],
      );
    await this.restore([...keys(set, false), ...keys(this.#proxies, true)]);
  }

  /** Restores entries that have changed, and deletes new ones. */
  async restore(keys: readonly Key[]): Promise<void> {
    const now = await SavedNeighbours.of(this.#tools);
    const commands = new Map<string, readonly string[]>();
    for (const key of keys) {
      const { proxy, device } = key;
      const address = canonical(key.address);
      const [before, after] = [this.#find(address, key), now.#find(address, key)];
      if (isDeepStrictEqual(before, after)) continue;
      const words = proxy ? ['proxy', address] : [address];
      if (before === undefined)
        commands.set(`${proxy} ${address} ${device}`, ['neighbour', 'delete', ...words, 'dev', device]);
      // Proxy entries of one address do not differ.
      else if (proxy)
        commands.set(`${proxy} ${address} ${device}`, ['neighbour', 'replace', ...words, 'dev', device]);
      else commands.set(`${address} ${device}`, replacing(before, address, device));
    }
    await ipPutBack(this.#tools, [], [...commands.values()]);
  }

  #find(address: string, { device, proxy }: Key): ShownNeighbour | undefined {
    const all = proxy ? this.#proxies : this.#neighbours;
    return all.find(({ dst, dev }) => dst === address && dev === device);
  }
}

/** Returns an address in the kernel's notation. */
function canonical(address: string): string {
  return new SocketAddress({ address, family: isIP(address) === 4 ? 'ipv4' : 'ipv6' }).address;
}

async function shown(tools: Tools, which: readonly string[]): Promise<readonly ShownNeighbour[]> {
  const text = (await ip(tools, ['-json', 'neighbour', 'show', ...which])).toString();
  return JSON.parse(text || '[]') as readonly ShownNeighbour[];
}

function replacing(before: ShownNeighbour, address: string, device: string): readonly string[] {
  const { lladdr, state = [] } = before;
  return [
    'neighbour',
    'replace',
    address,
    'dev',
    device,
    ...(lladdr === undefined ? [] : ['lladdr', lladdr]),
    ...(before.router === undefined ? [] : ['router']),
    ...(before.extern_learn === undefined ? [] : ['extern_learn']),
    'nud',
    (state[0] ?? 'stale').toLowerCase(),
  ];
}
