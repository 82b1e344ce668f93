import type { AuditRecord } from '@kata-agent/audit';

/** What a record's log is, outside its guest. */
export interface LogIdentity {
  /** The name of the agent, as its operator gave it to the collector. */
  readonly agent: string;
  /** The beginning of the hash of the first record that was collected, 32 hex digits: the name of the log in every sink. */
  readonly origin: string;
}

/** A record as it arrived. */
interface CollectedRecord {
  readonly log: LogIdentity;
  readonly record: AuditRecord;
}

type FieldValue = string | number;

/** How a member of a record is called elsewhere. */
export interface FieldRow {
  /** In FORMAT.md. */
  readonly member: string;
  /** The attribute in OpenTelemetry; undefined: it has another place there, which `otelPlace` says. */
  readonly otel?: string;
  readonly otelPlace?: string;
  /** The parameter of the structured data in RFC 5424. */
  readonly syslog?: string;
  readonly syslogPlace?: string;
  /** The names that a SIEM maps it to. */
  readonly ecs: string;
  readonly ocsf: string;
  readonly of: (collected: CollectedRecord) => FieldValue | undefined;
}

/** Members that only some kinds of record have. */
interface AnyMembers {
  readonly listener?: string;
  readonly peer?: string;
  readonly claimedOperator?: string;
  readonly method?: string;
  readonly decision?: {
    readonly outcome: string;
    readonly code?: string;
    readonly rule?: string;
    readonly reason: string;
  };
  readonly digest?: string;
  readonly intent?: number;
  readonly subject?: { readonly containerId?: string; readonly execId?: string; readonly argv0?: string };
  readonly result?: { readonly code: string; readonly message?: string; readonly durationUs: number };
  readonly request?: { readonly image?: string };
  readonly code?: string;
  readonly count?: number;
}

function membersOf(record: AuditRecord): AnyMembers {
  return record as AnyMembers;
}

/** Returns `success`, `failure` or `unknown`, as ECS has it: a call that has only begun is `unknown`. */
function outcomeOf(record: AuditRecord): string | undefined {
  const { decision, result, code = result?.code } = membersOf(record);
  if (decision?.outcome === 'deny') return 'failure';
  if (code !== undefined) return code === 'OK' ? 'success' : 'failure';
  return record.kind === 'intent' ? 'unknown' : undefined;
}

type Member = keyof AnyMembers;

/** A row whose value is a member of the record. */
function row(
  member: Member,
  names: Omit<FieldRow, 'member' | 'of'>,
  of: (members: AnyMembers) => FieldValue | undefined = (members) =>
    members[member] as FieldValue | undefined,
  path: string = member,
): FieldRow {
  return { member: path, ...names, of: ({ record }) => of(membersOf(record)) };
}

const rows: readonly FieldRow[] = [
  {
    member: 'origin (of the log)',
    otel: 'kata.audit.origin',
    syslog: 'origin',
    ecs: 'labels.kata_audit_origin',
    ocsf: 'metadata.log_source',
    of: ({ log }) => log.origin,
  },
  {
    member: 'sequence',
    otel: 'kata.audit.sequence',
    syslog: 'sequence',
    ecs: 'event.sequence',
    ocsf: 'metadata.sequence',
    of: ({ record }) => record.sequence,
  },
  {
    member: 'hash',
    otel: 'log.record.uid',
    syslog: 'hash',
    ecs: 'event.id',
    ocsf: 'metadata.original_event_uid',
    of: ({ record }) => record.hash,
  },
  {
    member: 'name of the agent',
    otelPlace: 'resource: service.instance.id',
    syslogPlace: 'HOSTNAME',
    ecs: 'service.node.name',
    ocsf: 'device.name',
    of: ({ log }) => log.agent,
  },
  {
    member: 'wall',
    otelPlace: 'Timestamp',
    syslogPlace: 'TIMESTAMP',
    ecs: '@timestamp',
    ocsf: 'time',
    of: ({ record }) => record.wall,
  },
  {
    member: 'kind',
    otel: 'kata.audit.kind',
    syslogPlace: 'MSGID',
    ecs: 'labels.kata_audit_kind',
    ocsf: 'metadata.event_code',
    of: ({ record }) => record.kind,
  },
  {
    member: 'boot',
    otel: 'kata.audit.boot_id',
    syslog: 'boot',
    ecs: 'host.boot.id',
    ocsf: 'device.boot_uid',
    of: ({ record }) => record.boot,
  },
  {
    member: 'the line itself',
    otelPlace: 'Body',
    syslogPlace: 'MSG',
    ecs: 'event.original',
    ocsf: 'raw_data',
    of: () => undefined,
  },
  row('method', { otel: 'rpc.method', syslog: 'method', ecs: 'event.action', ocsf: 'api.operation' }),
  row('listener', {
    otel: 'kata.audit.listener',
    syslog: 'listener',
    ecs: 'labels.kata_audit_listener',
    ocsf: 'dst_endpoint.name',
  }),
  row('peer', {
    otel: 'kata.audit.peer',
    syslog: 'peer',
    ecs: 'source.address, user.name',
    ocsf: 'src_endpoint.name, actor.user.name',
  }),
  row('claimedOperator', {
    otel: 'kata.audit.claimed_operator',
    syslog: 'claimedOperator',
    ecs: 'client.user.name',
    ocsf: 'unmapped.claimedOperator',
  }),
  row(
    'decision',
    {
      otel: 'kata.audit.decision',
      syslog: 'decision',
      ecs: 'labels.kata_audit_decision',
      ocsf: 'action_id: 1 (allow), 2 (deny)',
    },
    ({ decision }) => decision?.outcome,
    'decision.outcome',
  ),
  {
    member: 'decision.outcome and result.code',
    otel: 'kata.audit.outcome',
    syslog: 'outcome',
    ecs: 'event.outcome',
    ocsf: 'status_id: 1 (success), 2 (failure), 0',
    of: ({ record }) => outcomeOf(record),
  },
  row(
    'decision',
    { otel: 'kata.audit.code', syslog: 'code', ecs: 'event.code', ocsf: 'status_code' },
    ({ decision }) => decision?.code,
    'decision.code',
  ),
  row(
    'decision',
    { otel: 'kata.audit.rule', syslog: 'rule', ecs: 'rule.name', ocsf: 'policy.name' },
    ({ decision }) => decision?.rule,
    'decision.rule',
  ),
  row(
    'decision',
    { otel: 'kata.audit.reason', syslog: 'reason', ecs: 'event.reason', ocsf: 'status_detail' },
    ({ decision }) => decision?.reason,
    'decision.reason',
  ),
  row(
    'result',
    {
      otel: 'rpc.response.status_code',
      syslog: 'result',
      ecs: 'error.code, if it is not OK',
      ocsf: 'api.response.error, if it is not OK',
    },
    ({ result, code }) => result?.code ?? code,
    'result.code',
  ),
  row(
    'result',
    {
      otel: 'kata.audit.message',
      syslog: 'message',
      ecs: 'error.message',
      ocsf: 'api.response.error_message',
    },
    ({ result }) => result?.message,
    'result.message',
  ),
  row(
    'result',
    {
      otel: 'kata.audit.duration_us',
      syslog: 'durationUs',
      ecs: 'event.duration, in ns',
      ocsf: 'duration, in ms',
    },
    ({ result }) => result?.durationUs,
    'result.durationUs',
  ),
  row('intent', {
    otel: 'kata.audit.intent',
    syslog: 'intent',
    ecs: 'labels.kata_audit_intent',
    ocsf: 'metadata.correlation_uid',
  }),
  row('count', {
    otel: 'kata.audit.count',
    syslog: 'count',
    ecs: 'labels.kata_audit_count',
    ocsf: 'count',
  }),
  row(
    'subject',
    { otel: 'container.id', syslog: 'container', ecs: 'container.id', ocsf: 'dst_endpoint.container.uid' },
    ({ subject }) => subject?.containerId,
    'subject.containerId',
  ),
  row(
    'subject',
    { otel: 'kata.audit.exec_id', syslog: 'exec', ecs: 'process.entity_id', ocsf: 'resources.uid' },
    ({ subject }) => subject?.execId,
    'subject.execId',
  ),
  row(
    'subject',
    { otel: 'process.executable.name', syslog: 'argv0', ecs: 'process.name', ocsf: 'resources.name' },
    ({ subject }) => subject?.argv0,
    'subject.argv0',
  ),
  row(
    'request',
    {
      otel: 'container.image.name',
      syslog: 'image',
      ecs: 'container.image.name',
      ocsf: 'dst_endpoint.container.image.name',
    },
    ({ request }) => request?.image,
    'request.image',
  ),
];

/** The mapping of docs/collecting.md, "Fields". A kind of a later version can have anything as a member: only texts and numbers are values. */
export const recordFields: readonly FieldRow[] = rows.map((each) => ({
  ...each,
  of: (collected) => scalarOf(each.of(collected)),
}));

function scalarOf(value: unknown): FieldValue | undefined {
  return typeof value === 'string' || typeof value === 'number' ? value : undefined;
}

/** How much a record matters: RFC 5424's severities, and their names in OpenTelemetry. */
interface Severity {
  readonly syslog: number;
  readonly otel: 'ERROR' | 'WARN' | 'INFO2' | 'INFO' | 'DEBUG';
}

const severities = {
  /** Records or bytes of the log are lost. */
  error: { syslog: 3, otel: 'ERROR' },
  /** A call was denied. */
  warning: { syslog: 4, otel: 'WARN' },
  /** A start; a call that has failed, or that a rule would have denied. */
  notice: { syslog: 5, otel: 'INFO2' },
  info: { syslog: 6, otel: 'INFO' },
  debug: { syslog: 7, otel: 'DEBUG' },
} as const satisfies Readonly<Record<string, Severity>>;

export function severityOf(record: AuditRecord): Severity {
  const { decision, result, code = result?.code } = membersOf(record);
  if (record.kind === 'lost' || record.kind === 'repaired') return severities.error;
  if (decision?.outcome === 'deny') return severities.warning;
  if (record.kind === 'boot' || decision?.rule !== undefined) return severities.notice;
  if (code !== undefined && code !== 'OK') return severities.notice;
  return record.kind === 'heartbeat' ? severities.debug : severities.info;
}
