import { type AuditRecord, isDenied } from '@kata-agent/audit';
import { BoundedTally } from './bounded-tally.js';
import { memberOf, optionalText, recordedText, recordedTexts } from './recorded-text.js';
import { TimeHistogram } from './time-histogram.js';
import type {
  Activity,
  Command,
  ContainerActivity,
  Denial,
  EventKind,
  ExecActivity,
  Listed,
  LogEvent,
  MethodActivity,
  PeerActivity,
  Removed,
  StartedConfiguration,
} from './activity.js';
import { OpenCalls } from './open-calls.js';

/** How many rows each table has at most. */
export const limits = {
  configurations: 20,
  peers: 100,
  methods: 150,
  containers: 200,
  execs: 200,
  denials: 200,
  recordedOnly: 100,
  removedMethods: 100,
  events: 100,
} as const;

/** Calls whose outcome is not recorded yet: more than an agent serves at once. */
const maxOpen = 4_096;

/** An agent is silent for longer than a heartbeat when the machine is busy; a realm alerts after the same number. */
const heartbeats = 3;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A record that covers the log up to itself, from outside: a stored head or a checkpoint. */
export interface Mark {
  readonly sequence: number;
  readonly text: string;
}

/** Collects the activity of a log from its records, in memory that does not depend on their number. */
export class ActivityReader {
  readonly #marks: readonly Mark[];
  readonly #configurations = new BoundedTally<Mutable<StartedConfiguration>>(limits.configurations);
  readonly #peers = new BoundedTally<Mutable<PeerActivity>>(limits.peers);
  readonly #methods = new BoundedTally<Mutable<MethodActivity>>(limits.methods);
  readonly #containers = new BoundedTally<Mutable<ContainerActivity>>(limits.containers);
  readonly #execs = new BoundedTally<Mutable<ExecActivity>>(limits.execs);
  readonly #denials = new BoundedTally<Mutable<Denial>>(limits.denials);
  readonly #recordedOnly = new BoundedTally<Mutable<Denial>>(limits.recordedOnly);
  /** Rows by the sequence number of their intent, until its outcome comes. */
  readonly #openContainers = new OpenCalls<Mutable<ContainerActivity>>(maxOpen);
  readonly #openExecs = new OpenCalls<Mutable<ExecActivity>>(maxOpen);
  readonly #histogram = new TimeHistogram();
  readonly #events: LogEvent[] = [];
  #eventsBeyond = 0;
  #records = 0;
  #unreadable = 0;
  #calls = 0;
  #denied = 0;
  #failed = 0;
  #lost = 0;
  #wouldDeny = 0;
  #starts = 0;
  #earlierRecords = 0;
  #removed: RemovedSummary | undefined;
  #first: AuditRecord | undefined;
  #previous: AuditRecord | undefined;
  #heartbeatMs: number | undefined;

  /** `marks`: what covers the log from outside, by the last record that it covers. */
  constructor(marks: readonly Mark[]) {
    this.#marks = marks;
  }

  unreadable(): void {
    this.#unreadable += 1;
  }

  /** Adds the next record of the log. */
  add(record: AuditRecord): void {
    this.#records += 1;
    if (record.kind === 'boot') this.#starts += 1;
    else if (this.#starts === 0) this.#earlierRecords += 1;
    this.#first ??= record;
    this.#noteSilence(record);
    this.#previous = record;
    switch (record.kind) {
      case 'boot':
        this.#start(record);
        break;
      case 'lost':
        this.#lost += Math.max(0, record.count);
        this.#event('gap', record, `${record.count} records were not written: ${record.failure}`);
        break;
      case 'repaired':
        this.#event('repair', record, `a torn last line of ${record.cutBytes} bytes was truncated`);
        break;
      case 'rotated':
        this.#removed = record.removed ?? this.#removed;
        if (record.removed !== undefined)
          this.#event(
            'rotation',
            record,
            `rotation has removed records 1 to ${record.removed.last.sequence}, and kept ${record.removed.kept?.records ?? 0} of them`,
          );
        break;
      case 'intent':
      case 'call':
      case 'refusal':
      case 'fold':
      case 'outcome':
        this.#call(record);
        break;
      case 'heartbeat':
        break;
    }
    for (const { sequence, text } of this.#marks)
      if (sequence === record.sequence) this.#event('checkpoint', record, text);
  }

  get activity(): Activity {
    return {
      records: this.#records,
      unreadable: this.#unreadable,
      from: this.#first && timeOf(this.#first),
      to: this.#previous && timeOf(this.#previous),
      calls: this.#calls,
      denied: this.#denied,
      failed: this.#failed,
      wouldDeny: this.#wouldDeny,
      lost: this.#lost,
      starts: {
        count: this.#starts,
        earlierRecords: this.#earlierRecords,
        configurations: listed(this.#configurations),
      },
      removed: this.#removed && removedOf(this.#removed),
      peers: listed(this.#peers, (one, other) => other.calls - one.calls),
      methods: listed(this.#methods, (one, other) => other.calls - one.calls),
      containers: listed(this.#containers),
      execs: listed(this.#execs),
      denials: listed(this.#denials, (one, other) => other.count - one.count),
      recordedOnly: listed(this.#recordedOnly, (one, other) => other.count - one.count),
      intervals: this.#histogram.intervals,
      events: { rows: this.#events, beyond: this.#eventsBeyond },
    };
  }

  #start(record: AuditRecord & { readonly kind: 'boot' }): void {
    const { digest, version, heartbeatMs } = record.facts;
    this.#heartbeatMs = typeof heartbeatMs === 'number' && heartbeatMs > 0 ? heartbeatMs : undefined;
    const text = optionalText(digest);
    const row = this.#configurations.entry([text], () => ({
      digest: text,
      starts: 0,
      sequence: record.sequence,
    }));
    if (row !== undefined) row.starts += 1;
    const named = optionalText(version);
    this.#event('start', record, `the agent started${named === undefined ? '' : `, version ${named}`}`);
  }

  #noteSilence(record: AuditRecord): void {
    const previous = this.#previous;
    if (previous === undefined || record.boot !== previous.boot || this.#heartbeatMs === undefined) return;
    if (record.sequence !== previous.sequence + 1) return;
    const silentMs = (record.monotonic - previous.monotonic) / 1e6;
    if (!(silentMs > heartbeats * this.#heartbeatMs)) return;
    const text = `no record for ${Math.round(silentMs / 1000)} s, and the agent says that it writes one each ${this.#heartbeatMs / 1000} s`;
    this.#event('gap', record, text);
  }

  #event(kind: EventKind, record: AuditRecord, text: string): void {
    if (this.#events.length >= limits.events) {
      this.#eventsBeyond += 1;
      return;
    }
    const at = millisecondsOf(record);
    this.#events.push({
      kind,
      sequence: record.sequence,
      time: timeOf(record),
      at,
      text: recordedText(text),
    });
  }

  #call(record: CallingRecord): void {
    const denied = isDenied(record) ? countOf(record) : 0;
    // An outcome is of a call that its intent has counted.
    const calls = record.kind === 'outcome' ? 0 : countOf(record);
    const failed = denied === 0 && hasFailed(record) ? countOf(record) : 0;
    this.#calls += calls;
    this.#denied += denied;
    this.#failed += failed;
    const at = millisecondsOf(record);
    if (at !== undefined) this.#histogram.add(at, calls, denied);
    this.#countPeer(record, { calls, denied, failed });
    const method = recordedText(record.method);
    const row = this.#methods.entry([method], () => ({ method, calls: 0, denied: 0, failed: 0 }));
    if (row !== undefined) addTo(row, { calls, denied, failed });
    if (denied > 0) this.#deny(record, denied);
    else if (calls > 0) this.#noteRecordedOnly(record, calls);
    if (record.method === 'CreateContainer') this.#container(record);
    if (record.method === 'ExecProcess') this.#exec(record, calls, denied);
    if ('result' in record && record.result.clock !== undefined) {
      const { before, after } = record.result.clock;
      if (before !== after) this.#event('clock', record, `the clock was set from ${before} to ${after}`);
    }
  }

  #countPeer(record: CallingRecord, counts: Counts): void {
    const [listener, peer] = [recordedText(record.listener), recordedText(record.peer)];
    const claimedOperator = optionalText(record.claimedOperator);
    const first = timeOf(record);
    const row = this.#peers.entry([listener, peer, claimedOperator], () => ({
      listener,
      peer,
      claimedOperator,
      first,
      last: first,
      calls: 0,
      denied: 0,
      failed: 0,
      execs: 0,
    }));
    if (row === undefined) return;
    addTo(row, counts);
    if (record.method === 'ExecProcess') row.execs += counts.calls;
    row.last = first;
  }

  #deny(record: CallingRecord, count: number): void {
    const decision = 'decision' in record ? record.decision : undefined;
    const isByDecision = decision?.outcome === 'deny';
    // What the decision allows can still be denied by a check of the guest: then the result says why.
    const message = 'result' in record ? record.result.message : undefined;
    this.#countDenial(this.#denials, record, count, {
      rule: isByDecision ? optionalText(decision.rule) : undefined,
      code: isByDecision ? optionalText(decision.code) : undefined,
      reason: recordedText(isByDecision ? decision.reason : (message ?? '')),
    });
  }

  /** Counts a served call that a rule with `enforcement = "audit"` would have denied: the decision names the rule. */
  #noteRecordedOnly(record: CallingRecord, count: number): void {
    const decision = 'decision' in record ? record.decision : undefined;
    if (decision?.outcome !== 'allow' || decision.rule === undefined) return;
    this.#wouldDeny += count;
    this.#countDenial(this.#recordedOnly, record, count, {
      rule: recordedText(decision.rule),
      code: undefined,
      reason: recordedText(decision.reason),
    });
  }

  #countDenial(
    tally: BoundedTally<Mutable<Denial>>,
    record: CallingRecord,
    count: number,
    why: Pick<Denial, 'rule' | 'code' | 'reason'>,
  ): void {
    const [listener, peer] = [recordedText(record.listener), recordedText(record.peer)];
    const method = recordedText(record.method);
    const containerId = containerIdOf(record);
    const time = timeOf(record);
    const key = [listener, peer, method, containerId, why.code, why.rule, why.reason];
    const row = tally.entry(key, () => ({
      ...why,
      listener,
      peer,
      method,
      count: 0,
      sequence: record.sequence,
      first: time,
      last: time,
      containerId,
    }));
    if (row === undefined) return;
    row.count += count;
    row.last = time;
  }

  /** Notes one container for each create that was not denied before it began: an id can be used again, with another image. */
  #container(record: CallingRecord): void {
    if (record.kind === 'intent' || record.kind === 'call') {
      const row = this.#containers.entry([String(record.sequence)], () => createdContainer(record));
      if (row === undefined) return;
      if (record.kind === 'intent') this.#openContainers.open(record.sequence, row);
      else noteResult(row, record);
    }
    if (record.kind !== 'outcome') return;
    const row = this.#openContainers.close(record.intent);
    if (row !== undefined) noteResult(row, record);
  }

  #exec(record: CallingRecord, calls: number, denied: number): void {
    if (record.kind === 'outcome') {
      // It has neither command nor user.
      const row = this.#openExecs.close(record.intent);
      if (row === undefined) return;
      row.denied += denied;
      row.last = timeOf(record);
      return;
    }
    const [listener, peer] = [recordedText(record.listener), recordedText(record.peer)];
    const containerId = containerIdOf(record) ?? '';
    const command = commandOf(record);
    const user = optionalText(memberOf('request' in record ? record.request : undefined, 'user'));
    const time = timeOf(record);
    const row = this.#execs.entry(
      [listener, peer, containerId, user, command.kind, ...command.words],
      () => ({ listener, peer, containerId, command, user, calls: 0, denied: 0, first: time, last: time }),
    );
    if (row === undefined) return;
    if (record.kind === 'intent') this.#openExecs.open(record.sequence, row);
    row.calls += calls;
    row.denied += denied;
    row.last = time;
  }
}

type BegunRecord = Extract<AuditRecord, { readonly kind: 'intent' | 'call' }>;
type EndedRecord = Extract<AuditRecord, { readonly kind: 'outcome' | 'call' }>;

function createdContainer(record: BegunRecord): Mutable<ContainerActivity> {
  const { request, facts } = record;
  return {
    containerId: containerIdOf(record) ?? '',
    time: timeOf(record),
    image: optionalText(memberOf(request, 'image') ?? memberOf(facts, 'image')),
    verifiedDigest: undefined,
    signatures: [],
    command: commandOf(record),
    user: optionalText(memberOf(request, 'user') ?? memberOf(facts, 'user')),
    privileges: recordedTexts(memberOf(request, 'privileges')),
    result: undefined,
    secrets: [],
    secretCount: 0,
  };
}

function noteResult(row: Mutable<ContainerActivity>, record: EndedRecord): void {
  const { image, code, secrets } = record.result;
  if (secrets !== undefined) {
    row.secrets = recordedTexts(secrets.names);
    row.secretCount = secrets.count;
  }
  row.verifiedDigest = optionalText(image?.digest ?? image?.manifestDigest);
  row.signatures = recordedTexts(image?.signatures);
  row.result = isDenied(record) ? 'denied' : recordedText(code);
}

function removedOf({ last, kept, counts }: RemovedSummary): Removed {
  const methods = Object.entries(counts).map(([method, results]) => ({
    method: recordedText(method),
    records: Object.values(results).reduce((sum, count) => sum + count, 0),
    denied: (results['refused'] ?? 0) + (results['PERMISSION_DENIED'] ?? 0),
  }));
  return {
    last: last.sequence,
    kept: kept?.records ?? 0,
    methods: {
      rows: methods.sort((one, other) => other.records - one.records).slice(0, limits.removedMethods),
      beyond: Math.max(0, methods.length - limits.removedMethods),
    },
  };
}

type CallingRecord = Extract<AuditRecord, { readonly method: string }>;

interface Counts {
  readonly calls: number;
  readonly denied: number;
  readonly failed: number;
}

function addTo(row: Mutable<Counts>, { calls, denied, failed }: Counts): void {
  row.calls += calls;
  row.denied += denied;
  row.failed += failed;
}

function countOf(record: CallingRecord): number {
  return record.kind === 'fold' ? Math.max(0, record.count) : 1;
}

function hasFailed(record: CallingRecord): boolean {
  switch (record.kind) {
    case 'call':
    case 'outcome':
      return record.result.code !== 'OK';
    case 'fold':
      return record.code !== undefined && record.code !== 'OK';
    case 'intent':
    case 'refusal':
      return false;
  }
}

type RemovedSummary = NonNullable<Extract<AuditRecord, { readonly kind: 'rotated' }>['removed']>;

const notRecorded: Command = { kind: 'not recorded', words: [] };

function commandOf(record: CallingRecord): Command {
  const facts = 'facts' in record ? record.facts : undefined;
  const words = recordedTexts(memberOf(facts, 'arguments'));
  if (words.length > 0) return { kind: 'arguments', words };
  const program = optionalText(record.subject?.argv0 ?? memberOf(facts, 'command'));
  return program === undefined ? notRecorded : { kind: 'program', words: [program] };
}

function containerIdOf({ subject }: CallingRecord): string | undefined {
  return optionalText(subject?.containerId);
}

function timeOf({ wall }: AuditRecord): string {
  return recordedText(wall);
}

function millisecondsOf({ wall }: AuditRecord): number | undefined {
  const time = /^\d{4}-\d\d-\d\dT/.test(wall) ? Date.parse(wall) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

function listed<Row>(tally: BoundedTally<Row>, order?: (one: Row, other: Row) => number): Listed<Row> {
  const rows = order === undefined ? tally.entries : [...tally.entries].sort(order);
  return { rows, beyond: tally.beyond };
}
