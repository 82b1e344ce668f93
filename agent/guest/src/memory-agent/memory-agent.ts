import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Syscalls } from '@kata-agent/linux';
import type { Guest } from '../guest.js';
import { GuestError } from '../guest-error.js';
import type { GuestLog } from '../guest-log.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import { Compactor } from './compactor.js';
import { Generations, type GenerationsFile, openGenerationsFile } from './generations.js';
import {
  checkCompactChange,
  checkReclaimChange,
  type CompactSettings,
  type ReclaimSettings,
} from './memory-agent-settings.js';
import { Reclaimer } from './reclaimer.js';

/** The maximum delay of setTimeout; a longer one fires at once. */
const longestMs = 2 ** 31 - 1;

export interface MemoryAgentSettings {
  readonly reclaim: ReclaimSettings;
  readonly compact: CompactSettings;
}

export interface MemoryAgentOptions {
  readonly syscalls: Syscalls;
  readonly paths: Pick<GuestPaths, 'proc' | 'sys' | 'cgroup' | 'state'>;
  /** Returns the cgroups (v2) of the running containers. */
  readonly cgroups: () => readonly string[];
  readonly log: GuestLog;
}

/**
 * Returns memory that the guest does not need: reclaims cold pages of containers, and compacts free memory. Runs from
 * `start` to `stop`; both parts have periods of their own.
 */
export class MemoryAgent {
  readonly #options: MemoryAgentOptions;
  readonly #reclaimRounds: Rounds;
  readonly #compactRounds: Rounds;
  #reclaim: ReclaimSettings;
  #compact: CompactSettings;

  constructor(options: MemoryAgentOptions, { reclaim, compact }: MemoryAgentSettings) {
    const { syscalls, paths, cgroups, log } = options;
    this.#options = options;
    this.#reclaim = reclaim;
    this.#compact = compact;
    const open = (): GenerationsFile => openGenerationsFile(syscalls, paths.state);
    const generations = new Generations({ ...paths, open, log });
    const reclaimer = new Reclaimer({ cgroups, proc: paths.proc, generations, log });
    const compactor = new Compactor(paths.proc, log);
    const fault = (error: unknown): void => log('warn', `memory agent: ${String(error)}`);
    this.#reclaimRounds = new Rounds(() => reclaimer.round(this.#reclaim), fault);
    this.#compactRounds = new Rounds(async () => void (await compactor.round(this.#compact)), fault);
  }

  static of({ context, containers }: Guest, settings: MemoryAgentSettings): MemoryAgent {
    const cgroups = (): readonly string[] =>
      [...containers.values()].flatMap(({ cgroup, first }) =>
        cgroup.version === 2 && !first.ended ? [cgroup.directory] : [],
      );
    return new MemoryAgent({ ...context, cgroups }, settings);
  }

  start(): void {
    if (!this.#reclaim.disabled && !this.#canReclaim) {
      const reason = 'this guest has cgroup v1; help: add cgroup_no_v1=all to the kernel command line';
      this.#options.log('warn', `memory agent: no memory of containers is reclaimed: ${reason}`);
    }
    this.#reclaimRounds.every(periodOf(this.#reclaim));
    this.#compactRounds.every(periodOf(this.#compact));
  }

  stop(): void {
    this.#reclaimRounds.every(undefined);
    this.#compactRounds.every(undefined);
  }

  /** Applies the settings that `change` has. A changed period starts over. */
  setReclaim(change: Partial<ReclaimSettings>): void {
    checkReclaimChange(change);
    if (!this.#canReclaim)
      throw new GuestError(
        'precondition',
        'reclaiming memory needs cgroup v2; help: add cgroup_no_v1=all to the kernel command line',
      );
    const before = periodOf(this.#reclaim);
    this.#reclaim = { ...this.#reclaim, ...change };
    const period = periodOf(this.#reclaim);
    if (period !== before) this.#reclaimRounds.every(period);
  }

  setCompact(change: Partial<CompactSettings>): void {
    checkCompactChange(change);
    const before = periodOf(this.#compact);
    this.#compact = { ...this.#compact, ...change };
    const period = periodOf(this.#compact);
    if (period !== before) this.#compactRounds.every(period);
  }

  get #canReclaim(): boolean {
    return existsSync(join(this.#options.paths.cgroup, 'cgroup.controllers'));
  }
}

/** Returns the period in seconds, at least 1; undefined: disabled. */
function periodOf(settings: {
  readonly disabled: boolean;
  readonly periodSeconds: number;
}): number | undefined {
  return settings.disabled ? undefined : Math.max(settings.periodSeconds, 1);
}

/** Runs a function repeatedly, with a pause between the end of one round and the start of the next. */
export class Rounds {
  readonly #round: () => Promise<void>;
  readonly #fault: (error: unknown) => void;
  #pauseMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #busy = false;

  constructor(round: () => Promise<void>, fault: (error: unknown) => void) {
    this.#round = round;
    this.#fault = fault;
  }

  /** Sets the pause and starts it over; undefined stops. A round that runs is not interrupted. */
  every(seconds: number | undefined): void {
    this.#pauseMs = seconds === undefined ? undefined : Math.min(seconds * 1000, longestMs);
    if (!this.#busy) this.#wait();
  }

  #wait(): void {
    clearTimeout(this.#timer);
    if (this.#pauseMs !== undefined) this.#timer = setTimeout(() => void this.#run(), this.#pauseMs).unref();
  }

  async #run(): Promise<void> {
    this.#busy = true;
    try {
      await this.#round();
    } catch (error) {
      this.#fault(error);
    } finally {
      this.#busy = false;
      this.#wait();
    }
  }
}
