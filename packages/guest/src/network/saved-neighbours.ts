import { GuestError } from '../guest-error.js';
import type { Tools } from '../tool/tools.js';
import { ip } from './ip.js';

/** What of `ip -json neighbour show` is used (iproute2, ip/ipneigh.c). Flags are members without a value. */
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

/** Neighbours as they are before a change. */
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

  /** Puts one back, or takes it away if it was not there. */
  async restore({ address, device, proxy }: Key): Promise<void> {
    const before = (proxy ? this.#proxies : this.#neighbours).find(
      ({ dst, dev }) => dst === address && dev === device,
    );
    if (before === undefined) return this.#remove(proxy ? ['proxy', address] : [address], device);
    // Between proxies of one address there is no difference.
    if (!proxy) await ip(this.#tools, replacing(before, address, device));
  }

  async #remove(address: readonly string[], device: string): Promise<void> {
    try {
      await ip(this.#tools, ['neighbour', 'delete', ...address, 'dev', device]);
    } catch (error) {
      // It was set twice.
      if (!(error instanceof GuestError && error.message.includes('No such file or directory'))) throw error;
    }
  }
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
