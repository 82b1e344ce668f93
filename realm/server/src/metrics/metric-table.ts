/** A metric of a realm: the source of what is exported, and of the table in docs/realm.md. */
export interface MetricRow {
  readonly type: 'counter' | 'gauge';
  readonly labels: readonly string[];
  readonly help: string;
}

/** The names of the metrics. */
export type MetricName =
  | 'kata_realm_guests'
  | 'kata_realm_guests_accepted_total'
  | 'kata_realm_guests_refused_total'
  | 'kata_realm_guests_ended_total'
  | 'kata_realm_operator_connections'
  | 'kata_realm_operators_refused_total'
  | 'kata_realm_operator_requests_total'
  | 'kata_realm_calls_total'
  | 'kata_realm_operator_uses'
  | 'kata_realm_relayed_bytes_total'
  | 'kata_realm_log_records_total'
  | 'kata_realm_log_bytes_total'
  | 'kata_realm_log_faults_total'
  | 'kata_realm_guest_alerts_total'
  | 'kata_realm_witness_requests_total'
  | 'kata_realm_reloads_total'
  | 'kata_realm_ready'
  | 'kata_realm_decisions_writable'
  | 'kata_realm_store_bytes'
  | 'kata_realm_store_full'
  | 'kata_realm_bus_connected'
  | 'kata_realm_bus_reconnects_total'
  | 'kata_realm_bus_pending_requests'
  | 'kata_realm_bus_pipes'
  | 'kata_realm_bus_malformed_total'
  | 'kata_realm_event_loop_lag_seconds'
  | 'kata_realm_resident_memory_bytes';

/** All metrics by name. */
export const metricTable: Readonly<Record<MetricName, MetricRow>> = {
  kata_realm_guests: {
    type: 'gauge',
    labels: ['relay'],
    help: 'Guests that are connected and accepted.',
  },
  kata_realm_guests_accepted_total: {
    type: 'counter',
    labels: [],
    help: 'Connections of guests that were accepted.',
  },
  kata_realm_guests_refused_total: {
    type: 'counter',
    labels: ['reason'],
    help: 'Connections of guests that were not: request (no connection of a guest), authorization (no entry, or a full one), evidence (none, or not verified), failure (its answers).',
  },
  kata_realm_guests_ended_total: {
    type: 'counter',
    labels: ['reason'],
    help: 'Connections of accepted guests that have ended: closed, replaced, moved, health, reload, drain.',
  },
  kata_realm_operator_connections: {
    type: 'gauge',
    labels: [],
    help: 'Open connections of operators.',
  },
  kata_realm_operators_refused_total: {
    type: 'counter',
    labels: ['reason'],
    help: 'Connections and requests of operators that were refused: certificate, authorization, request.',
  },
  kata_realm_operator_requests_total: {
    type: 'counter',
    labels: [],
    help: 'Requests of operators that were authenticated.',
  },
  kata_realm_calls_total: {
    type: 'counter',
    labels: ['outcome'],
    help: 'Calls that operators made through the realm, where the relay is trusted: allowed, denied.',
  },
  kata_realm_operator_uses: {
    type: 'gauge',
    labels: ['kind'],
    help: 'What operators have open: operator-tls and trusted (connections to guests), audit (readers of logs).',
  },
  kata_realm_relayed_bytes_total: {
    type: 'counter',
    labels: ['direction'],
    help: 'Bytes passed between operators and guests with operator-tls: to_guest, to_operator.',
  },
  kata_realm_log_records_total: {
    type: 'counter',
    labels: [],
    help: 'Audit records of guests that were verified and stored.',
  },
  kata_realm_log_bytes_total: {
    type: 'counter',
    labels: [],
    help: 'Their bytes.',
  },
  kata_realm_log_faults_total: {
    type: 'counter',
    labels: ['kind'],
    help: 'Faults of logs: gap, broken, second-log, clone, fork, full, failed.',
  },
  kata_realm_guest_alerts_total: {
    type: 'counter',
    labels: ['kind'],
    help: 'What can be a clone or the end of a guest: clone (two guests with one key at once), duplicate (another guest reports the same configuration), boot (a further boot of an entry), silent (connected, and no record for three heartbeats), away (the same, not connected).',
  },
  kata_realm_witness_requests_total: {
    type: 'counter',
    labels: ['status'],
    help: 'Requests to cosign a checkpoint, by the status of the answer: 200 is cosigned.',
  },
  kata_realm_reloads_total: {
    type: 'counter',
    labels: ['outcome'],
    help: 'Reloads of the authorization file and certificates: ok, failed.',
  },
  kata_realm_ready: {
    type: 'gauge',
    labels: [],
    help: '1 while the realm serves, 0 before and while it drains.',
  },
  kata_realm_decisions_writable: {
    type: 'gauge',
    labels: [],
    help: "1 while the realm's own audit log can be written; otherwise nobody is accepted.",
  },
  kata_realm_store_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Bytes of the logs of all guests in --store, with 16 KiB for each guest.',
  },
  kata_realm_store_full: {
    type: 'gauge',
    labels: [],
    help: '1 while no records of guests are stored: --store-max is reached, or the file system is full.',
  },
  kata_realm_bus_connected: {
    type: 'gauge',
    labels: [],
    help: '1 while NATS is connected. This and the next four are of --bus; without it they are 0.',
  },
  kata_realm_bus_reconnects_total: {
    type: 'counter',
    labels: [],
    help: 'Connections to NATS that were made again.',
  },
  kata_realm_bus_pending_requests: {
    type: 'gauge',
    labels: [],
    help: 'Requests to other replicas that wait for an answer.',
  },
  kata_realm_bus_pipes: {
    type: 'gauge',
    labels: [],
    help: 'Pipes to other replicas that have an end here.',
  },
  kata_realm_bus_malformed_total: {
    type: 'counter',
    labels: [],
    help: 'Messages and entries on the bus that no replica writes, and that are ignored: more than 0 means that something else uses the account, or another version.',
  },
  kata_realm_event_loop_lag_seconds: {
    type: 'gauge',
    labels: ['quantile'],
    help: 'Delay of the event loop in the last whole 10 s: 0.5, 0.99, 1 (the maximum).',
  },
  kata_realm_resident_memory_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Memory of the process.',
  },
};
