/** The right of one channel to handle received frames. */
export interface Turn {
  /** Reports whether the channel may handle one more frame now. If not, it waits. */
  take(): boolean;
  /** Calls `resume` when the channel's turn has come. It then takes frames until it has none, or waits again. */
  wait(resume: () => void): void;
  /** Ends the membership of a closed channel. */
  leave(): void;
}

/** Frames that one turn of the event loop handles at most. */
const maxAllowance = 32;

/** Frames of one channel before the next one continues. */
const quantum = 8;

/** The time that a turn should not exceed, what its calls do before they wait included. */
const turnMs = 5;

/**
 * Divides the event loop among the channels of a server, so that none delays the others for long, whatever it sends. A
 * turn handles a limited number of frames, fewer if they cost much; then the event loop reads from other connections.
 * Channels that have more continue in rotation: first by group, then by channel within the group, so that a group with
 * many channels gets no more than one with a single channel. A channel whose group has not used its turn does not wait.
 */
export class FairTurns {
  readonly #now: () => number;
  readonly #later: (step: () => void) => void;
  readonly #groups = new Map<unknown, Group>();
  /** The groups with waiting channels, the next one first. */
  readonly #rotation: Group[] = [];
  #allowance = maxAllowance;
  #granted: Member | undefined;
  /** Frames left for the granted channel, and for the whole turn. */
  #left = 0;
  #total = 0;
  #scheduled = false;
  #began = 0;

  constructor({
    now = () => performance.now(),
    later = setImmediate,
  }: { readonly now?: () => number; readonly later?: (step: () => void) => void } = {}) {
    this.#now = now;
    this.#later = later;
  }

  /** Adds a channel to a group. */
  join(key: unknown): Turn {
    const group = this.#groups.get(key) ?? { key, members: 0, spent: 0, waiting: [], rotates: false };
    this.#groups.set(key, group);
    group.members += 1;
    const member: Member = { group, resume: undefined };
    return {
      take: () => this.#take(member),
      wait: (resume) => this.#wait(member, resume),
      leave: () => {
        group.members -= 1;
        if (group.members === 0) this.#groups.delete(group.key);
      },
    };
  }

  #take(member: Member): boolean {
    if (this.#granted === member) {
      if (this.#left === 0) return false;
      this.#left -= 1;
      this.#total -= 1;
      return true;
    }
    const { group } = member;
    if (group.waiting.length > 0 || group.spent >= this.#allowance) return false;
    group.spent += 1;
    // Calls that come one at a time are not counted in turns, which would cost each of them a wake-up.
    if (group.spent >= Math.min(quantum, this.#allowance)) this.#schedule();
    return true;
  }

  #wait(member: Member, resume: () => void): void {
    member.resume = resume;
    member.group.waiting.push(member);
    this.#rotate(member.group);
    this.#schedule();
  }

  #rotate(group: Group): void {
    if (group.rotates || group.waiting.length === 0) return;
    group.rotates = true;
    this.#rotation.push(group);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    if (this.#began === 0) this.#began = this.#now();
    this.#later(() => this.#step());
  }

  #step(): void {
    this.#scheduled = false;
    this.#adapt();
    for (const group of this.#groups.values()) group.spent = 0;
    this.#total = this.#allowance;
    while (this.#total > 0) {
      const group = this.#rotation.shift();
      if (group === undefined) break;
      const member = group.waiting.shift();
      group.rotates = false;
      this.#rotate(group);
      if (member !== undefined) this.#grant(member);
    }
    if (this.#rotation.length > 0) this.#schedule();
    else this.#began = 0;
  }

  #grant(member: Member): void {
    this.#granted = member;
    this.#left = Math.min(quantum, this.#total);
    try {
      member.resume?.();
    } finally {
      this.#granted = undefined;
    }
  }

  /** Fits the allowance to what the last turn took: halves it quickly, and raises it slowly. */
  #adapt(): void {
    const now = this.#now();
    const took = now - this.#began;
    this.#began = now;
    if (took > turnMs) this.#allowance = Math.max(1, this.#allowance >> 1);
    else if (took < turnMs / 2) this.#allowance = Math.min(maxAllowance, this.#allowance + 2);
  }
}

interface Group {
  readonly key: unknown;
  members: number;
  /** Frames handled without waiting since the last turn. */
  spent: number;
  readonly waiting: Member[];
  /** Whether it is in the rotation. */
  rotates: boolean;
}

interface Member {
  readonly group: Group;
  resume: (() => void) | undefined;
}
