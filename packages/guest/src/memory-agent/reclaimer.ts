import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { readTable } from '../cgroup/cgroup-files.js';
import { GuestError } from '../guest-error.js';
import type { GuestLog } from '../guest-options.js';
import type { Generations } from './generations.js';
import type { ReclaimSettings } from './memory-agent-settings.js';
import { Pressure } from './pressure.js';

const mebibyte = 1024n * 1024n;

/** What is reclaimed between two looks at the pressure: an eighth of it all, and at least so much. */
const leastStep = 4n * mebibyte;

export interface ReclaimerOptions {
  /** The cgroups (v2) of the containers. */
  readonly cgroups: () => readonly string[];
  /** `/proc`. */
  readonly proc: string;
  readonly generations: Pick<Generations, 'begin'>;
  readonly log: GuestLog;
}

/** What is known of one container's memory. */
interface Watched {
  readonly pressure: Pressure;
  /** Bytes on the inactive lists at the last rounds, the oldest first. */
  readonly cold: bigint[];
}

/**
 * Takes back memory that containers have not used for some rounds, as long as none of them has to wait for it
 * (`memory.reclaim`, Documentation/admin-guide/cgroup-v2.rst). The kernel chooses the pages; we only say how many, which
 * is the least that lay on the inactive lists in all those rounds.
 */
export class Reclaimer {
  readonly #options: ReclaimerOptions;
  readonly #watched: Map<string, Watched> = new Map();

  constructor(options: ReclaimerOptions) {
    this.#options = options;
  }

  async round(settings: ReclaimSettings): Promise<void> {
    const cgroups = this.#options.cgroups();
    await this.#options.generations.begin(cgroups, settings.swap);
    for (const known of this.#watched.keys()) if (!cgroups.includes(known)) this.#watched.delete(known);
    for (const cgroup of cgroups) {
      // A container may end at any time; the others have their round all the same.
      if (existsSync(join(cgroup, 'memory.reclaim'))) await this.#visit(cgroup, settings);
    }
  }

  async #visit(cgroup: string, settings: ReclaimSettings): Promise<void> {
    const { pressure, cold } = this.#watch(cgroup);
    const felt = pressure.percent();
    cold.push(coldBytes(cgroup, settings.swap));
    cold.splice(0, cold.length - Math.max(settings.coldRounds, 1));
    if (felt > settings.periodPressureLimit || cold.length < settings.coldRounds) return;
    const amount = cold.reduce((least, bytes) => (bytes < least ? bytes : least));
    const taken = await this.#evict(cgroup, amount, settings);
    if (taken > 0n) this.#options.log('debug', 'memory was reclaimed', { cgroup, bytes: String(taken) });
  }

  #watch(cgroup: string): Watched {
    const known = this.#watched.get(cgroup);
    if (known !== undefined) return known;
    const files = ['memory.pressure', 'io.pressure'].map((name) => join(cgroup, name));
    const fresh: Watched = { pressure: new Pressure(files.filter(existsSync)), cold: [] };
    this.#watched.set(cgroup, fresh);
    return fresh;
  }

  /** Answers how many bytes were asked for and given. */
  async #evict(cgroup: string, amount: bigint, settings: ReclaimSettings): Promise<bigint> {
    const { pressure } = this.#watch(cgroup);
    const words = this.#swappiness(settings);
    const step = amount / 8n > leastStep ? amount / 8n : leastStep;
    let taken = 0n;
    while (taken < amount && pressure.percent() <= settings.evictionPressureLimit) {
      const next = amount - taken < step ? amount - taken : step;
      if (!(await reclaim(cgroup, `${next}${words}`))) break;
      taken += next;
    }
    return taken;
  }

  /** Without swap there is nothing to say, which older kernels (before 6.11) would not understand. */
  #swappiness({ swap, swappinessMax }: ReclaimSettings): string {
    const areas = readFileSync(join(this.#options.proc, 'swaps'), 'utf8').trim().split('\n').length - 1;
    return areas === 0 ? '' : ` swappiness=${swap ? swappinessMax : 0}`;
  }
}

function coldBytes(cgroup: string, swap: boolean): bigint {
  const stat = readTable(join(cgroup, 'memory.stat'));
  return (stat['inactive_file'] ?? 0n) + (swap ? (stat['inactive_anon'] ?? 0n) : 0n);
}

/** In a thread of libuv's, since the kernel works until it is done. False: it found less, or the container is gone. */
async function reclaim(cgroup: string, words: string): Promise<boolean> {
  const file = join(cgroup, 'memory.reclaim');
  try {
    await writeFile(file, words, { flag: 'r+' });
    return true;
  } catch (error) {
    if (hasCode(error, 'EAGAIN', 'ENOENT', 'ENODEV')) return false;
    if (!hasCode(error, 'EINVAL')) throw error;
    const message = `${file} does not take ${JSON.stringify(words)}: with swap, Linux 6.11 or later is needed`;
    throw new GuestError('precondition', message, { cause: error });
  }
}
