import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Syscalls } from '@kata-agent/linux';
import type { Guest } from '../guest.js';
import { GuestError } from '../guest-error.js';
import type { GuestLog, GuestPaths } from '../guest-options.js';
import { Compactor } from './compactor.js';
import { Generations, type GenerationsFile } from './generations.js';
import { openGenerationsFile } from './generations-file.js';
import {
  type CompactSettings,
  checkCompactChange,
  checkReclaimChange,
  type ReclaimSettings,
} from './memory-agent-settings.js';
import { Reclaimer } from './reclaimer.js';
import { Rounds } from './rounds.js';

export interface MemoryAgentSettings {
  readonly reclaim: ReclaimSettings;
  readonly compact: CompactSettings;
}

export interface MemoryAgentOptions {
  readonly syscalls: Syscalls;
  readonly paths: Pick<GuestPaths, 'proc' | 'sys' | 'cgroup' | 'state'>;
  /** The cgroups (v2) of the containers that run. */
  readonly cgroups: () => readonly string[];
  readonly log: GuestLog;
}

/**
 * Gives memory back that the guest does not need: takes cold pages from containers, and makes free memory contiguous. Runs
 * from `start` to `stop`, each part with its own period.
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
      const why = 'this guest has cgroup v1; cgroup_no_v1=all on the kernel line gives it v2';
      this.#options.log('warn', `memory agent: no memory of containers is reclaimed: ${why}`);
    }
    this.#reclaimRounds.every(periodOf(this.#reclaim));
    this.#compactRounds.every(periodOf(this.#compact));
  }

  stop(): void {
    this.#reclaimRounds.every(undefined);
    this.#compactRounds.every(undefined);
  }

  /** Changes what is given. A period that changes begins anew. */
  setReclaim(change: Partial<ReclaimSettings>): void {
    checkReclaimChange(change);
    if (!this.#canReclaim)
      throw new GuestError(
        'precondition',
        'memory is reclaimed by cgroup v2, which this guest does not have',
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

/** Undefined: it does not run. */
function periodOf(settings: {
  readonly disabled: boolean;
  readonly periodSeconds: number;
}): number | undefined {
  return settings.disabled ? undefined : Math.max(settings.periodSeconds, 1);
}
