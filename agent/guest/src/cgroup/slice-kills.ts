import { dirname } from 'node:path';

/** What `SliceKills` needs of the kernel and of the containers. */
interface SliceContext {
  /** Returns the kernel's count of a cgroup and of all that are or were below it. Undefined: the cgroup is gone. */
  readonly killsOf: (directory: string) => bigint | undefined;
  /** Calls `changed` when that count may have changed; the result ends it. Undefined: not available. */
  readonly noticeOf: (directory: string, changed: () => void) => (() => void) | undefined;
  /** Reads the counters of the containers below a slice. Returns the cgroups that are gone since the last read. */
  readonly read: (slice: string) => readonly string[];
  /** Returns the kills in the containers below a slice, as of the last read. */
  readonly explained: (slice: string) => bigint;
  /** Ascribes kills to a container whose cgroup is gone. */
  readonly ascribe: (directory: string, kills: bigint) => void;
}

interface Slice {
  /** Number of watched containers directly in it. */
  containers: number;
  /** Kills in none of the containers, such as those of services. */
  others: bigint;
  readonly endNotice: (() => void) | undefined;
}

/**
 * Maximum number of reads for numbers of one moment. A container can cause kills without end; if the last read is
 * wrong as well, the kernel's notice of the kill meanwhile corrects it.
 */
const MAX_ROUNDS = 2;

/**
 * The OOM kills in slices (cgroup v2): the counter of a slice includes the kills of scopes that are gone. Kills that no
 * container's own counter explains are those of a container whose cgroup systemd removed before the counter was read.
 * The kernel counts a kill before the process ends: kills after a cgroup was found gone are of others.
 */
export class SliceKills {
  readonly #context: SliceContext;
  readonly #slices: Map<string, Slice> = new Map();

  constructor(context: SliceContext) {
    this.#context = context;
  }

  /** Called before a container is watched. `directory`: its cgroup; `kills`: those in it until now. */
  add(directory: string, kills: bigint): void {
    const slice = dirname(directory);
    const known = this.#slices.get(slice);
    if (known !== undefined) known.containers += 1;
    else {
      const endNotice = this.#context.noticeOf(slice, () => this.check(slice));
      this.#slices.set(slice, { containers: 1, others: 0n, endNotice });
    }
    // Kills in a container that is not watched yet are among those of others.
    this.check(slice);
    for (const above of this.#above(directory)) above.others -= kills;
  }

  /** Called once it is no longer watched. `kills`: those that were ascribed to it. */
  remove(directory: string, kills: bigint): void {
    for (const known of this.#above(directory)) known.others += kills;
    const slice = dirname(directory);
    const known = this.#slices.get(slice);
    if (known === undefined) return;
    known.containers -= 1;
    if (known.containers > 0) return;
    known.endNotice?.();
    this.#slices.delete(slice);
  }

  #above(directory: string): readonly Slice[] {
    return [...this.#slices].filter(([slice]) => directory.startsWith(`${slice}/`)).map(([, known]) => known);
  }

  /**
   * Ascribes kills to containers whose cgroups are gone, and what is then left to others.
   *
   * @param directory a cgroup that was just found gone; without it, any such cgroup gets the kills
   */
  check(slice: string, directory?: string): void {
    const gone = directory === undefined ? [] : [directory];
    // A slice below it first: its kills are also counted here.
    const slices = [...this.#slices.keys()]
      .filter((name) => name === slice || name.startsWith(`${slice}/`))
      .sort((a, b) => b.length - a.length);
    const counts = (): readonly (bigint | undefined)[] => slices.map((name) => this.#context.killsOf(name));
    let kills = counts();
    for (let round = 1; ; round += 1) {
      gone.push(...this.#context.read(slice));
      const now = counts();
      // A kill between the reads is in one of both numbers only.
      if (round === MAX_ROUNDS || now.every((count, index) => count === kills[index])) break;
      kills = now;
    }
    for (const [index, name] of slices.entries()) this.#settle(name, kills[index], gone);
  }

  #settle(slice: string, kills: bigint | undefined, gone: readonly string[]): void {
    const known = this.#slices.get(slice);
    if (known === undefined || kills === undefined) return;
    const ended = gone.find((directory) => dirname(directory) === slice);
    const unread = kills - this.#context.explained(slice) - known.others;
    if (ended !== undefined && unread > 0n) this.#context.ascribe(ended, unread);
    known.others = kills - this.#context.explained(slice);
  }
}
