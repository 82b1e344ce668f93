import { levelOf } from '../record/written.js';
import { type LineHead, lineHead } from './line-head.js';
import { lastingMethods, madeBy, nothingPresent, type Present } from './present.js';

/**
 * The classes of records that outlive their segment, and each one's share of the space, in sixteenths. No class
 * displaces another.
 */
const shares = {
  boot: 2,
  CreateSandbox: 1,
  CreateContainer: 4,
  ExecProcess: 3,
  SetPolicy: 1,
  /** Connections to the debug console or the log stream. */
  connection: 1,
  refusal: 2,
  /** Every other call that changes something. */
  other: 1,
  /** Failed calls of any method. */
  failed: 1,
} as const;

const sixteenths = 16;

const ownClass: ReadonlySet<string> = new Set<KeptClass>([
  'CreateSandbox',
  'CreateContainer',
  'ExecProcess',
  'SetPolicy',
]);

/** Records that are kept or dropped together: an intent and its outcome, or a single record. */
interface Unit {
  readonly sequence: number;
  readonly boot: string;
  readonly listener: string;
  readonly method: string;
  /** Of a CopyFile; else empty. */
  readonly directory: string;
  /** The container or process it created, for a create or an exec. */
  readonly made: string | undefined;
  /** The outcome's status code, once known. */
  code: string | undefined;
  class: KeptClass;
  readonly lines: { readonly sequence: number; readonly line: Buffer }[];
  bytes: number;
}

/**
 * Units with a part of their class's share: those of one boot, of one listener in it, of one method in that, or of one
 * directory of CopyFile in that.
 */
interface Group {
  readonly units: Unit[];
  bytes: number;
}

/** The units of a class. */
interface Members {
  readonly units: Map<number, Unit>;
  bytes: number;
  /** Size in bytes that triggers the next selection. */
  enough: number;
}

/** Minimum share in bytes; if shares would be smaller, whole groups are dropped, from the middle. */
const minShare = 1024;
/** Size of an ordinary create in bytes; longer ones are dropped first when space is short. */
const ordinaryBytes = 4096;
/** A unit counts as long when it takes more than this fraction of its group's space. */
const longPart = 64;

/**
 * Selects the records that outlive their segments. Each class has a share of the space, within it each boot an equal
 * part, within that each listener, in classes of many methods each method, and of CopyFile each directory. In a group the longest records are
 * dropped first, then those in the middle, so the first and the last are kept. A flood of calls therefore displaces only
 * records of its own class and listener, and never its beginning.
 *
 * Records of calls in progress, unless their callers decide how long they last, and of calls that created existing
 * containers or processes are kept in addition to the share.
 */
export class Selection {
  readonly #budget: number;
  readonly #present: Present;
  readonly #units = new Map<number, Unit>();
  readonly #classes = new Map<KeptClass, Members>();

  /** `budget` is in bytes. */
  constructor(budget: number, present: Present = nothingPresent) {
    this.#budget = budget;
    this.#present = present;
  }

  /** Adds a line without its newline. Lines are added in the order of their sequence numbers. */
  add(line: Buffer): void {
    const head = lineHead(line);
    const kept = head === undefined ? undefined : classOf(head);
    if (head === undefined || kept === undefined) return;
    const unit = this.#unitOf(head, kept);
    if (unit === undefined) return;
    this.#leave(unit);
    unit.class = kept;
    unit.code ??= head.code;
    // A copy, because the line is a view that would keep the file's chunk in memory.
    unit.lines.push({ sequence: head.sequence, line: Buffer.from(line) });
    unit.bytes += line.length + 1;
    const members = this.#join(unit);
    // Selects per class and early: selecting among very many units would block the event loop.
    if (members.bytes > members.enough) this.#choose(kept);
  }

  /** Returns the selected lines in order. */
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

  /** Returns undefined for an outcome whose intent was not kept. */
  #unitOf(head: LineHead, kept: KeptClass): Unit | undefined {
    const { sequence, boot, listener, method, kind, intent, directory = '' } = head;
    if (kind === 'outcome') return this.#units.get(intent ?? 0);
    const made = madeBy(head);
    const unit: Unit = {
      sequence,
      boot,
      listener,
      method,
      directory,
      made,
      code: undefined,
      class: kept,
      lines: [],
      bytes: 0,
    };
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
    // Outcomes follow intents of other calls, so units are ordered by their intents.
    const units = [...members.units.values()].sort((a, b) => a.sequence - b.sequence);
    const share = this.#share(name);
    for (const unit of leaving(absent(units, this.#present), levelsOf(name), share)) {
      this.#leave(unit);
      this.#units.delete(unit.sequence);
    }
    // Units that must be kept may exceed the share; this avoids selecting again for each further line.
    members.enough = Math.max(2 * share, members.bytes + share);
  }
}

/**
 * Returns the units whose records may be dropped. When an id was reused, the create that succeeded last counts, and
 * those whose outcome is not written yet. Creates overlap, so outcomes are compared and not intents.
 */
function absent(units: readonly Unit[], { boot, underWay, subjects }: Present): Unit[] {
  const latest = new Map<string, Unit>();
  for (const unit of units) {
    if (unit.boot !== boot || unit.made === undefined || unit.code !== 'OK') continue;
    const other = latest.get(unit.made);
    if (other === undefined || lastSequence(unit) > lastSequence(other)) latest.set(unit.made, unit);
  }
  const isPresent = (unit: Unit): boolean => {
    const { sequence, boot: own, method, made, code } = unit;
    if (own !== boot) return false;
    if (underWay.has(sequence) && !lastingMethods.has(method)) return true;
    if (made === undefined || (code !== undefined && code !== 'OK')) return false;
    if (subjects === undefined) return true;
    if (!subjects.has(made)) return false;
    const last = latest.get(made);
    return code === undefined || last === undefined || last === unit;
  };
  return units.filter((unit) => !isPresent(unit));
}

/** Returns the sequence number of a unit's last record: its outcome, once there is one. */
function lastSequence({ sequence, lines }: Unit): number {
  return lines.at(-1)?.sequence ?? sequence;
}

/** By what the units of a class are grouped: each group is grouped by the next. */
type Levels = readonly ('boot' | 'listener' | 'method' | 'directory')[];

function levelsOf(name: KeptClass): Levels {
  if (name === 'other') return ['boot', 'listener', 'method', 'directory'];
  return name === 'failed' ? ['boot', 'listener', 'method'] : ['boot', 'listener'];
}

function groupsOf(units: readonly Unit[], by: Levels[number]): Group[] {
  const groups = new Map<string, Group>();
  for (const unit of units) {
    const group = groups.get(unit[by]) ?? { units: [], bytes: 0 };
    group.units.push(unit);
    group.bytes += unit.bytes;
    groups.set(unit[by], group);
  }
  return [...groups.values()];
}

/** Returns the units that do not fit into a share, which the groups of the first level have in equal parts. */
function leaving(units: readonly Unit[], [by, ...levels]: Levels, share: number): readonly Unit[] {
  if (by === undefined) return leavingOf(units, share);
  const all = groupsOf(units, by);
  const max = Math.max(2, Math.floor(share / minShare));
  const surplus = Math.max(0, all.length - max);
  const gone = all.slice(1, 1 + surplus);
  const groups = [...all.slice(0, 1), ...all.slice(1 + surplus)];
  const level = levelOf(
    groups.map(({ bytes }) => bytes),
    share,
  );
  return [
    ...gone.flatMap((group) => group.units),
    ...groups.flatMap((group) => (group.bytes <= level ? [] : leaving(group.units, levels, level))),
  ];
}

/** Returns the units of a group to drop: the longest, as far as that is enough, then those in the middle. */
function leavingOf(all: readonly Unit[], level: number): readonly Unit[] {
  const long = longest(all, level);
  const gone = new Set(long);
  return [
    ...long,
    ...middle(
      all.filter((unit) => !gone.has(unit)),
      level,
    ),
  ];
}

function bytesOf(units: readonly Unit[]): number {
  return units.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Drops long units first, so a caller gains nothing by padding. The very first unit is never dropped. */
function longest(units: readonly Unit[], level: number): readonly Unit[] {
  const max = Math.max(ordinaryBytes, level / longPart);
  const gone: Unit[] = [];
  let left = bytesOf(units);
  for (const unit of units.slice(1).sort((a, b) => b.bytes - a.bytes)) {
    if (left <= level || unit.bytes <= max) break;
    gone.push(unit);
    left -= unit.bytes;
  }
  return gone;
}

/**
 * Drops units in the middle: neither the first ones, up to half of `level`, nor the last. The very first unit is never
 * dropped.
 */
function middle(units: readonly Unit[], level: number): readonly Unit[] {
  if (bytesOf(units) <= level) return [];
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

type KeptClass = keyof typeof shares;

/** Returns undefined when the record is removed with its segment and only counted. */
function classOf({ kind, method, code }: LineHead): KeptClass | undefined {
  switch (kind) {
    case 'boot':
    case 'repaired':
    case 'lost':
      return 'boot';
    case 'refusal':
      return 'refusal';
    case 'intent':
    case 'outcome':
      return changeClass(method, code);
    case 'call':
      return code === undefined || code === 'OK' ? undefined : 'failed';
    case 'fold':
    case 'rotated':
    case 'heartbeat':
      return undefined;
  }
}

/** Returns the class of a call with two records; the outcome decides, once it is known. */
function changeClass(method: string, code: string | undefined): KeptClass {
  if (code !== undefined && code !== 'OK') return 'failed';
  if (method === '(connection)') return 'connection';
  return ownClass.has(method) ? (method as KeptClass) : 'other';
}
