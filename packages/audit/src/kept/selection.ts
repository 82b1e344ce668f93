import { type LineHead, lineHead } from './line-head.js';
import { classOf, type KeptClass, shares, sixteenths } from './shares.js';

/** A record with what belongs to it: an intent and its outcome stay or go together. */
interface Unit {
  readonly sequence: number;
  readonly boot: string;
  readonly method: string;
  class: KeptClass;
  readonly lines: { readonly sequence: number; readonly line: Buffer }[];
  bytes: number;
}

/** Units that share their space fairly: of one boot, and in the classes of many methods of one method. */
interface Group {
  readonly units: Unit[];
  bytes: number;
}

/** The units of a class. */
interface Members {
  readonly units: Map<number, Unit>;
  bytes: number;
}

/** Less than this is no share: then whole groups go, from the middle. */
const leastShare = 1024;

/**
 * Chooses which records outlive their segments. Each class has its share of the space; within it each boot (and each method)
 * has the same; and of those the first and the last stay, and what goes is in the middle. So a flood of calls takes away
 * from its own kind alone, and there never the beginning.
 */
export class Selection {
  readonly #budget: number;
  readonly #units = new Map<number, Unit>();
  readonly #classes = new Map<KeptClass, Members>();

  /** `budget` in bytes. */
  constructor(budget: number) {
    this.#budget = budget;
  }

  /** A line without its newline. Lines come in the order of their sequence numbers. */
  add(line: Buffer): void {
    const head = lineHead(line);
    const kept = head === undefined ? undefined : classOf(head);
    if (head === undefined || kept === undefined) return;
    const unit = this.#unitOf(head, kept);
    if (unit === undefined) return;
    this.#leave(unit);
    unit.class = kept;
    // A copy: the line is part of a chunk of the file, which would stay alive with it.
    unit.lines.push({ sequence: head.sequence, line: Buffer.from(line) });
    unit.bytes += line.length + 1;
    const members = this.#join(unit);
    // Each class by itself and not too late: to choose among very many would hold up everything else.
    if (members.bytes > 2 * this.#share(kept)) this.#choose(kept);
  }

  /** The lines that stay, in their order. */
  lines(): readonly Buffer[] {
    for (const name of this.#classes.keys()) this.#choose(name);
    return Array.from(this.#units.values(), ({ lines }) => lines)
      .flat()
      .sort((a, b) => a.sequence - b.sequence)
      .map(({ line }) => line);
  }

  #share(name: KeptClass): number {
    return Math.floor((this.#budget * shares[name]) / sixteenths);
  }

  /** Undefined: an outcome whose intent is not kept. */
  #unitOf({ sequence, boot, method, kind, intent }: LineHead, kept: KeptClass): Unit | undefined {
    if (kind === 'outcome') return this.#units.get(intent ?? 0);
    const unit: Unit = { sequence, boot, method, class: kept, lines: [], bytes: 0 };
    this.#units.set(sequence, unit);
    return unit;
  }

  #join(unit: Unit): Members {
    const members = this.#classes.get(unit.class) ?? { units: new Map<number, Unit>(), bytes: 0 };
    this.#classes.set(unit.class, members);
    members.units.set(unit.sequence, unit);
    members.bytes += unit.bytes;
    return members;
  }

  #leave(unit: Unit): void {
    const members = this.#classes.get(unit.class);
    if (members?.units.delete(unit.sequence) === true) members.bytes -= unit.bytes;
  }

  #choose(name: KeptClass): void {
    // Outcomes come behind the intents of others: the order is that of the intents.
    const units = [...(this.#classes.get(name)?.units.values() ?? [])].sort(
      (a, b) => a.sequence - b.sequence,
    );
    for (const unit of leaving(groupsOf(units, name), this.#share(name))) {
      this.#leave(unit);
      this.#units.delete(unit.sequence);
    }
  }
}

function groupsOf(units: readonly Unit[], name: KeptClass): Group[] {
  const byMethod = name === 'other' || name === 'failed';
  const groups = new Map<string, Group>();
  for (const unit of units) {
    const key = byMethod ? `${unit.boot}\0${unit.method}` : unit.boot;
    const group = groups.get(key) ?? { units: [], bytes: 0 };
    group.units.push(unit);
    group.bytes += unit.bytes;
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** The units of a class that have no room in its share. */
function leaving(all: readonly Group[], share: number): readonly Unit[] {
  const most = Math.max(2, Math.floor(share / leastShare));
  const surplus = Math.max(0, all.length - most);
  const gone = all.slice(1, 1 + surplus);
  const groups = [...all.slice(0, 1), ...all.slice(1 + surplus)];
  const level = levelOf(groups, share);
  return [...gone.flatMap(({ units }) => units), ...groups.flatMap((group) => middle(group, level))];
}

/** What each group may have at most, so that together they have no more than `share`. */
function levelOf(groups: readonly Group[], share: number): number {
  let left = share;
  let level = share;
  const sizes = groups.map(({ bytes }) => bytes).sort((a, b) => a - b);
  for (const [index, size] of sizes.entries()) {
    level = Math.floor(left / (sizes.length - index));
    if (size > level) return level;
    left -= size;
  }
  return Number.POSITIVE_INFINITY;
}

/** What goes of a group: neither its first units, up to half of `level`, nor its last. The very first never goes. */
function middle({ units, bytes }: Group, level: number): readonly Unit[] {
  if (bytes <= level) return [];
  let first = 0;
  let used = 0;
  for (const { bytes: size } of units) {
    if (first > 0 && used + size > level / 2) break;
    used += size;
    first += 1;
  }
  let last = units.length;
  while (last > first) {
    const size = units[last - 1]?.bytes ?? 0;
    if (used + size > level) break;
    used += size;
    last -= 1;
  }
  return units.slice(first, last);
}
