import { type AuditRecord, isDenied } from '@kata-agent/audit';
import { BoundedTally } from './bounded-tally.js';
import { memberOf, optionalText, recordedText, recordedTexts } from './recorded-text.js';
import { type Interval, TimeHistogram } from './time-histogram.js';

/** What an audit log says that an agent did. All texts are as recorded, shortened: callers chose many of them. */
export interface Activity {
  readonly records: number;
  /** Lines that are not records; `audit verify` names them. */
  readonly unreadable: number;
  /** Of the first and the last record, as the guest's clock had it. */
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly calls: number;
  readonly denied: number;
  readonly failed: number;
  /** Records that could not be written. */
  readonly lost: number;
  readonly starts: readonly Start[];
  readonly peers: Listed<PeerActivity>;
  readonly methods: Listed<MethodActivity>;
  readonly containers: Listed<ContainerActivity>;
  readonly execs: Listed<ExecActivity>;
  readonly denials: Listed<Denial>;
  readonly intervals: readonly Interval[];
  readonly events: Listed<LogEvent>;
}

/** Rows of a table, and how many records belong to rows that are not shown. */
export interface Listed<Row> {
  readonly rows: readonly Row[];
  readonly beyond: number;
}

/** A start of the agent, by its boot record. */
export interface Start {
  readonly sequence: number;
  readonly time: string;
  /** The digest of its configuration in lower-case hex; undefined: the record has none. */
  readonly digest: string | undefined;
  readonly version: string | undefined;
}

export interface PeerActivity {
  readonly listener: string;
  readonly peer: string;
  /** As a trusted server says. */
  readonly claimedOperator: string | undefined;
  readonly calls: number;
  readonly denied: number;
  readonly failed: number;
  readonly execs: number;
  readonly first: string;
  readonly last: string;
}

export interface MethodActivity {
  readonly method: string;
  readonly calls: number;
  readonly denied: number;
  readonly failed: number;
}

export interface ContainerActivity {
  readonly containerId: string;
  readonly time: string;
  /** As the host claims. */
  readonly image: string | undefined;
  /** The digest that the guest has verified, if it got the image itself. */
  readonly verifiedDigest: string | undefined;
  readonly signatures: readonly string[];
  readonly command: Command;
  readonly user: string | undefined;
  readonly privileges: readonly string[];
  /** Sealed secrets that the guest asked for, whether it got them or not; the first ones of `secretCount`. */
  readonly secrets: readonly string[];
  readonly secretCount: number;
  /** `OK`, `denied`, another status, or undefined: the outcome is not recorded. */
  readonly result: string | undefined;
}

/** `arguments`: the whole argv. `program`: argv[0], since arguments are recorded with `[audit] facts` only. */
export interface Command {
  readonly kind: 'arguments' | 'program' | 'not recorded';
  readonly words: readonly string[];
}

export interface ExecActivity {
  readonly listener: string;
  readonly peer: string;
  readonly containerId: string;
  readonly command: Command;
  readonly user: string | undefined;
  readonly calls: number;
  readonly denied: number;
  readonly first: string;
  readonly last: string;
}

/** Denied calls with the same caller, method, rule and reason. */
export interface Denial {
  readonly count: number;
  /** Sequence number of the first record. */
  readonly sequence: number;
  readonly first: string;
  readonly last: string;
  readonly listener: string;
  readonly peer: string;
  readonly method: string;
  readonly containerId: string | undefined;
  readonly code: string | undefined;
  readonly rule: string | undefined;
  readonly reason: string;
}

export type EventKind = 'start' | 'gap' | 'checkpoint' | 'clock' | 'rotation' | 'repair';

export interface LogEvent {
  readonly kind: EventKind;
  readonly sequence: number;
  readonly time: string;
  /** Milliseconds since 1970; undefined: the record's time is no time. */
  readonly at: number | undefined;
  readonly text: string;
}

/** How many rows each table has at most. */
export const limits = {
  starts: 50,
  peers: 100,
  methods: 150,
  containers: 200,
  execs: 200,
  denials: 200,
  events: 100,
} as const;

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
  readonly #starts: Start[] = [];
  readonly #peers = new BoundedTally<Mutable<PeerActivity>>(limits.peers);
  readonly #methods = new BoundedTally<Mutable<MethodActivity>>(limits.methods);
  readonly #containers = new BoundedTally<Mutable<ContainerActivity>>(limits.containers);
  readonly #execs = new BoundedTally<Mutable<ExecActivity>>(limits.execs);
  readonly #denials = new BoundedTally<Mutable<Denial>>(limits.denials);
  readonly #histogram = new TimeHistogram();
  readonly #events: LogEvent[] = [];
  #eventsBeyond = 0;
  #records = 0;
  #unreadable = 0;
  #calls = 0;
  #denied = 0;
  #failed = 0;
  #lost = 0;
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
    this.#first ??= record;
    this.#noteSilence(record);
    this.#previous = record;
    switch (record.kind) {
      case 'boot':
        this.#start(record);
        break;
      case 'lost':
        this.#lost += record.count;
        this.#event('gap', record, `${record.count} records were not written: ${record.failure}`);
        break;
      case 'repaired':
        this.#event('repair', record, `a torn last line of ${record.cutBytes} bytes was truncated`);
        break;
      case 'rotated':
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
      lost: this.#lost,
      starts: this.#starts,
      peers: listed(this.#peers, (one, other) => other.calls - one.calls),
      methods: listed(this.#methods, (one, other) => other.calls - one.calls),
      containers: listed(this.#containers),
      execs: listed(this.#execs),
      denials: listed(this.#denials, (one, other) => other.count - one.count),
      intervals: this.#histogram.intervals,
      events: { rows: this.#events, beyond: this.#eventsBeyond },
    };
  }

  #start(record: AuditRecord & { readonly kind: 'boot' }): void {
    const { digest, version, heartbeatMs } = record.facts;
    this.#heartbeatMs = typeof heartbeatMs === 'number' && heartbeatMs > 0 ? heartbeatMs : undefined;
    const start: Start = {
      sequence: record.sequence,
      time: timeOf(record),
      digest: optionalText(digest),
      version: optionalText(version),
    };
    if (this.#starts.length < limits.starts) this.#starts.push(start);
    this.#event(
      'start',
      record,
      `the agent started${start.version === undefined ? '' : `, version ${start.version}`}`,
    );
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
    if (record.method === 'CreateContainer') this.#container(record);
    if (record.method === 'ExecProcess' && (calls > 0 || denied > 0)) this.#exec(record, calls, denied);
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
    const [listener, peer] = [recordedText(record.listener), recordedText(record.peer)];
    const method = recordedText(record.method);
    const decision = 'decision' in record ? record.decision : undefined;
    const isByDecision = decision?.outcome === 'deny';
    const rule = isByDecision ? optionalText(decision.rule) : undefined;
    const code = isByDecision ? optionalText(decision.code) : undefined;
    // What the decision allows can still be denied by a check of the guest: then the result says why.
    const message = 'result' in record ? record.result.message : undefined;
    const reason = recordedText(isByDecision ? decision.reason : (message ?? ''));
    const time = timeOf(record);
    const row = this.#denials.entry([listener, peer, method, code, rule, reason], () => ({
      listener,
      peer,
      method,
      code,
      rule,
      reason,
      count: 0,
      sequence: record.sequence,
      first: time,
      last: time,
      containerId: containerIdOf(record),
    }));
    if (row === undefined) return;
    row.count += count;
    row.last = time;
  }

  #container(record: CallingRecord): void {
    const containerId = containerIdOf(record) ?? '';
    const row = this.#containers.entry([containerId], () => ({
      containerId,
      time: timeOf(record),
      image: undefined,
      verifiedDigest: undefined,
      signatures: [],
      command: notRecorded,
      user: undefined,
      privileges: [],
      result: undefined,
      secrets: [],
      secretCount: 0,
    }));
    if (row === undefined) return;
    if (record.kind === 'outcome' || record.kind === 'call') {
      const { image, code, secrets } = record.result;
      if (secrets !== undefined) {
        row.secrets = recordedTexts(secrets.names);
        row.secretCount = secrets.count;
      }
      row.verifiedDigest = optionalText(image?.digest ?? image?.manifestDigest) ?? row.verifiedDigest;
      if (image?.signatures !== undefined) row.signatures = recordedTexts(image.signatures);
      row.result = isDenied(record) ? 'denied' : recordedText(code);
    }
    if (record.kind === 'refusal') row.result = 'denied';
    if (record.kind === 'outcome' || record.kind === 'fold') return;
    const { request, facts } = record;
    row.command = commandOf(record);
    row.image = optionalText(memberOf(request, 'image') ?? memberOf(facts, 'image'));
    row.user = optionalText(memberOf(request, 'user') ?? memberOf(facts, 'user'));
    row.privileges = recordedTexts(memberOf(request, 'privileges'));
  }

  #exec(record: CallingRecord, calls: number, denied: number): void {
    const [listener, peer] = [recordedText(record.listener), recordedText(record.peer)];
    const containerId = containerIdOf(record) ?? '';
    const command = commandOf(record);
    const request = 'request' in record ? record.request : undefined;
    const user = optionalText(memberOf(request, 'user'));
    const time = timeOf(record);
    const row = this.#execs.entry(
      [listener, peer, containerId, user, command.kind, ...command.words],
      () => ({
        listener,
        peer,
        containerId,
        command,
        user,
        calls: 0,
        denied: 0,
        first: time,
        last: time,
      }),
    );
    if (row === undefined) return;
    row.calls += calls;
    row.denied += denied;
    row.last = time;
  }
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
