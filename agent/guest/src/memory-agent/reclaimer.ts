import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { readTable } from '../cgroup/cgroup-paths.js';
import { GuestError } from '../guest-error.js';
import type { GuestLog } from '../guest-log.js';
import type { Generations } from './generations.js';
import type { ReclaimSettings } from './memory-agent-settings.js';
import { Pressure } from './pressure.js';

const mebibyte = 1024n * 1024n;

/** Minimum reclaimed between two checks of the pressure; otherwise an eighth of the whole amount. */
const minStep = 4n * mebibyte;

export interface ReclaimerOptions {
  /** The cgroups (v2) of the containers. */
  readonly cgroups: () => readonly string[];
  /** `/proc`. */
  readonly proc: string;
  readonly generations: Pick<Generations, 'begin'>;
  readonly log: GuestLog;
}

/** Observations of one container's memory. */
interface Watched {
  readonly pressure: Pressure;
  /** Inactive bytes at the last rounds, the oldest first. */
  readonly cold: bigint[];
}

/**
 * Reclaims memory that a container has not used for some rounds, as long as its pressure stays low (`memory.reclaim`,
 * Documentation/admin-guide/cgroup-v2.rst). The kernel chooses the pages; the amount is the smallest number of inactive
 * bytes in those rounds.
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
      // A container may end at any time; the round continues with the others.
      if (existsSync(join(cgroup, 'memory.reclaim'))) await this.#visit(cgroup, settings);
    }
  }

  async #visit(cgroup: string, settings: ReclaimSettings): Promise<void> {
    const { pressure, cold } = this.#watch(cgroup);
    const percent = pressure.percent();
    cold.push(coldBytes(cgroup, settings.swap));
    cold.splice(0, cold.length - Math.max(settings.coldRounds, 1));
    if (percent > settings.periodPressureLimit || cold.length < settings.coldRounds) return;
    const amount = cold.reduce((min, bytes) => (bytes < min ? bytes : min));
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

  /** Reclaims in steps until the pressure is too high; returns the number of bytes. */
  async #evict(cgroup: string, amount: bigint, settings: ReclaimSettings): Promise<bigint> {
    const { pressure } = this.#watch(cgroup);
    const swappiness = this.#swappiness(settings);
    const step = amount / 8n > minStep ? amount / 8n : minStep;
    let taken = 0n;
    while (taken < amount && pressure.percent() <= settings.evictionPressureLimit) {
      const next = amount - taken < step ? amount - taken : step;
      if (!(await reclaim(cgroup, `${next}${swappiness}`))) break;
      taken += next;
    }
    return taken;
  }

  /** Returns nothing without swap areas: kernels before 6.11 do not accept the argument. */
  #swappiness({ swap, swappinessMax }: ReclaimSettings): string {
    const areas = readFileSync(join(this.#options.proc, 'swaps'), 'utf8').trim().split('\n').length - 1;
    return areas === 0 ? '' : ` swappiness=${swap ? swappinessMax : 0}`;
  }
}

function coldBytes(cgroup: string, swap: boolean): bigint {
  const stat = readTable(join(cgroup, 'memory.stat'));
  return (stat['inactive_file'] ?? 0n) + (swap ? (stat['inactive_anon'] ?? 0n) : 0n);
}

/**
 * Writes to `memory.reclaim` in libuv's thread pool, since write(2) returns only when the kernel is done. False: the kernel
 * reclaimed less, or the cgroup is gone.
 */
async function reclaim(cgroup: string, request: string): Promise<boolean> {
  const file = join(cgroup, 'memory.reclaim');
  try {
    await writeFile(file, request, { flag: 'r+' });
    return true;
  } catch (error) {
    if (hasCode(error, 'EAGAIN', 'ENOENT', 'ENODEV')) return false;
    if (!hasCode(error, 'EINVAL')) throw error;
    const message = `${file} rejects ${JSON.stringify(request)}; help: with swap, use Linux 6.11 or later`;
    throw new GuestError('precondition', message, { cause: error });
  }
}
