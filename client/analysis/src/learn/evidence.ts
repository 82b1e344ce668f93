import type { AuditRecord, Summary, RecordedDecision, RecordedFacts } from '@kata-agent/audit';
import { isMethodName, type MethodName } from '@kata-agent/catalogue';

/** A record that represents calls: one call, or the calls that it counts. */
export interface Sighting {
  readonly log: string;
  readonly sequence: number;
  readonly calls: number;
}

/** Allowed calls of one method with the same facts. */
export interface ServedCalls {
  readonly method: MethodName;
  readonly facts: RecordedFacts | undefined;
  readonly sightings: readonly Sighting[];
}

/** Calls that were denied for the same reason, or that a rule with `enforcement = "audit"` would have denied. */
export interface RefusedCalls {
  /** As recorded: a method of the API, `*`, or a name in parentheses. */
  readonly method: string;
  readonly rule: string | undefined;
  readonly reason: string;
  /** The distinct requests of the calls with facts. */
  readonly facts: readonly RecordedFacts[];
  readonly sightings: readonly Sighting[];
}

type Growing<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };

/** The calls in one or more audit logs, collected record by record. */
export class Evidence {
  readonly #served = new Map<string, Growing<ServedCalls>>();
  readonly #refused = new Map<string, Growing<RefusedCalls>>();
  readonly #watched = new Map<string, Growing<RefusedCalls>>();
  /** The group for the counts of a fold record: the latest calls with the same listener and method. */
  readonly #latest = new Map<string, Growing<ServedCalls>>();
  readonly #removed = new Map<string, Summary>();
  readonly #seen = new Set<string>();
  /** Only calls on these listeners are collected; undefined: on all. */
  readonly #only: ReadonlySet<string> | undefined;
  readonly #listeners = new Set<string>();
  #lost = 0;
  #boots = 0;

  constructor(listeners?: Iterable<string>) {
    this.#only = listeners === undefined ? undefined : new Set(listeners);
  }

  /** Adds a record of a log. A record that was added before, from a copy of the log, counts once. */
  add(log: string, record: AuditRecord): void {
    if (this.#seen.has(record.hash)) return;
    this.#seen.add(record.hash);
    if ('listener' in record && this.#only?.has(record.listener) === false) return;
    const sighting = { log, sequence: record.sequence, calls: record.kind === 'fold' ? record.count : 1 };
    switch (record.kind) {
      case 'intent':
      case 'call':
        return this.#serve(record, record.facts, sighting);
      case 'refusal':
        return this.#refuse(this.#refused, record, record.facts, sighting);
      case 'fold':
        return record.of === 'refusal'
          ? this.#refuse(this.#refused, record, undefined, sighting)
          : this.#count(record, sighting);
      case 'rotated':
        if (record.removed !== undefined) this.#removed.set(log, record.removed);
        return undefined;
      case 'lost':
        this.#lost += record.count;
        return undefined;
      case 'boot':
        this.#boots += 1;
        return undefined;
      case 'outcome':
      case 'repaired':
      case 'heartbeat':
        return undefined;
    }
  }

  /** The listeners of the allowed calls. */
  get listeners(): ReadonlySet<string> {
    return this.#listeners;
  }

  /** Whether calls on some listeners were left out. */
  get partial(): boolean {
    return this.#only !== undefined;
  }

  get served(): readonly ServedCalls[] {
    return [...this.#served.values()];
  }

  get refused(): readonly RefusedCalls[] {
    return [...this.#refused.values()];
  }

  /** Allowed, although a rule in audit mode would have denied it. */
  get watched(): readonly RefusedCalls[] {
    return [...this.#watched.values()];
  }

  /** By log, the summary of records that rotation removed; some of those may have been retained. */
  get removed(): ReadonlyMap<string, Summary> {
    return this.#removed;
  }

  /** The number of records that the logs report as lost. */
  get lost(): number {
    return this.#lost;
  }

  get boots(): number {
    return this.#boots;
  }

  #serve(call: Call, facts: RecordedFacts | undefined, sighting: Sighting): void {
    if (!isMethodName(call.method)) return;
    this.#listeners.add(call.listener);
    const key = JSON.stringify([call.method, facts]);
    const group = this.#served.get(key) ?? { method: call.method, facts, sightings: [] };
    this.#served.set(key, group);
    this.#latest.set(placeOf(call), group);
    group.sightings.push(sighting);
    if (call.decision.rule !== undefined) this.#refuse(this.#watched, call, facts, sighting);
  }

  #count(call: Call, sighting: Sighting): void {
    const group = this.#latest.get(placeOf(call));
    if (group === undefined) return this.#serve(call, undefined, sighting);
    group.sightings.push(sighting);
    if (call.decision.rule !== undefined) this.#refuse(this.#watched, call, group.facts, sighting);
    return undefined;
  }

  #refuse(
    into: Map<string, Growing<RefusedCalls>>,
    { method, decision: { rule, reason } }: Call,
    facts: RecordedFacts | undefined,
    sighting: Sighting,
  ): void {
    const key = JSON.stringify([method, rule, reason]);
    const group = into.get(key) ?? { method, rule, reason, facts: [], sightings: [] };
    into.set(key, group);
    group.sightings.push(sighting);
    const text = JSON.stringify(facts);
    if (facts !== undefined && group.facts.every((known) => JSON.stringify(known) !== text))
      group.facts.push(facts);
  }
}

/** Returns the call that a record describes. */
interface Call {
  readonly listener: string;
  readonly method: string;
  readonly decision: RecordedDecision;
}

function placeOf({ listener, method }: Call): string {
  return `${listener} ${method}`;
}
