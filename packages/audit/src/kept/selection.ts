import { levelOf } from '../level.js';
import { type LineHead, lineHead } from './line-head.js';
import { madeBy, nothingPresent, type Present } from './present.js';
import { classOf, type KeptClass, shares, sixteenths } from './shares.js';

/** A record with what belongs to it: an intent and its outcome stay or go together. */
interface Unit {
  readonly sequence: number;
  readonly boot: string;
  readonly method: string;
  /** What it made, if it is of a create or an exec. */
  readonly made: string | undefined;
  /** Of its outcome, once that is known. */
  code: string | undefined;
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
  /** With more bytes it is time to choose. */
  enough: number;
}

/** Less than this is no share: then whole groups go, from the middle. */
const leastShare = 1024;
/** What an ordinary create has in a log; longer ones go first where there is little space. */
const ordinaryBytes = 4096;
/** A unit may have such a part of its group's space before its length counts against it. */
const longPart = 64;

/**
 * Chooses which records outlive their segments. Each class has its share of the space; within it each boot (and each method)
 * has the same; and of those the longest go first, then what is in the middle: the first and the last stay. So a flood of calls
 * takes away from its own kind alone, and there never the beginning.
 *
 * What made a container or a process that is there stays, and calls that are under way: they have room beyond the share.
 */
export class Selection {
  readonly #budget: number;
  readonly #present: Present;
  readonly #units = new Map<number, Unit>();
  readonly #classes = new Map<KeptClass, Members>();

  /** `budget` in bytes. */
  constructor(budget: number, present: Present = nothingPresent) {
    this.#budget = budget;
    this.#present = present;
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
    unit.code ??= head.code;
    // A copy: the line is part of a chunk of the file, which would stay alive with it.
    unit.lines.push({ sequence: head.sequence, line: Buffer.from(line) });
    unit.bytes += line.length + 1;
    const members = this.#join(unit);
    // Each class by itself and not too late: to choose among very many would hold up everything else.
    if (members.bytes > members.enough) this.#choose(kept);
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
  #unitOf(head: LineHead, kept: KeptClass): Unit | undefined {
    const { sequence, boot, method, kind, intent } = head;
    if (kind === 'outcome') return this.#units.get(intent ?? 0);
    const made = madeBy(head);
    const unit: Unit = { sequence, boot, method, made, code: undefined, class: kept, lines: [], bytes: 0 };
    this.#units.set(sequence, unit);
    return unit;
  }

  #join(unit: Unit): Members {
    const enough = 2 * this.#share(unit.class);
    const members = this.#classes.get(unit.class) ?? { units: new Map<number, Unit>(), bytes: 0, enough };
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
    const members = this.#classes.get(name);
    if (members === undefined) return;
    // Outcomes come behind the intents of others: the order is that of the intents.
    const units = [...members.units.values()].sort((a, b) => a.sequence - b.sequence);
    const share = this.#share(name);
    for (const unit of leaving(groupsOf(absent(units, this.#present), name), share)) {
      this.#leave(unit);
      this.#units.delete(unit.sequence);
    }
    // What is there may have more than the share: it is not looked at again for each further line.
    members.enough = Math.max(2 * share, members.bytes + share);
  }
}

/**
 * Those whose making may be forgotten. Units in the order of their sequence numbers. An id can be used again: it is the last
 * one that was made which is there, or one whose outcome is not known.
 */
function absent(units: readonly Unit[], { boot, underWay, subjects }: Present): Unit[] {
  const found = new Set<string>();
  const isPresent = ({ sequence, boot: own, made, code }: Unit): boolean => {
    if (own !== boot) return false;
    if (underWay.has(sequence)) return true;
    if (made === undefined || (code !== undefined && code !== 'OK')) return false;
    if (subjects === undefined) return true;
    if (!subjects.has(made) || found.has(made)) return false;
    if (code === 'OK') found.add(made);
    return true;
  };
  return units
    .toReversed()
    .filter((unit) => !isPresent(unit))
    .reverse();
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
  const level = levelOf(
    groups.map(({ bytes }) => bytes),
    share,
  );
  return [...gone.flatMap(({ units }) => units), ...groups.flatMap((group) => leavingOf(group, level))];
}

/** What goes of a group: the longest, as far as that is enough, then those in the middle. */
function leavingOf(group: Group, level: number): readonly Unit[] {
  const long = longest(group, level);
  const gone = new Set(long);
  const units = group.units.filter((unit) => !gone.has(unit));
  const bytes = units.reduce((sum, unit) => sum + unit.bytes, 0);
  return [...long, ...middle({ units, bytes }, level)];
}

/** A caller who makes his records long takes room from these. The very first never goes. */
function longest({ units, bytes }: Group, level: number): readonly Unit[] {
  const most = Math.max(ordinaryBytes, level / longPart);
  const gone: Unit[] = [];
  let left = bytes;
  for (const unit of units.slice(1).sort((a, b) => b.bytes - a.bytes)) {
    if (left <= level || unit.bytes <= most) break;
    gone.push(unit);
    left -= unit.bytes;
  }
  return gone;
}

/** What goes of the middle: neither the first units, up to half of `level`, nor the last. The very first never goes. */
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
