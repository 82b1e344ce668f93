import { randomUUID } from 'node:crypto';
import { onDoublingsOfEach } from '@kata-agent/base';
import { renderDiagnostic } from '@kata-agent/config';
import { type Bus, oneProcess } from '../bus/bus.js';
import { AcceptedRemotes, LiveGuests } from '../guests/live-guests.js';
import type { RealmLog } from '../realm-log.js';
import type { LogFault } from '../store/log-storage.js';
import { Store } from '../store/store.js';
import { openWitness } from './open-witness.js';
import { DecisionLog } from '../operators/decision-log.js';
import { createMetrics, type Metrics } from '../metrics/metrics.js';
import { readFiles } from './read-files.js';
import { defaultTimes, type Realm, type RealmOptions } from './realm-options.js';
import { type CurrentFiles, RunningRealm } from './running-realm.js';

/**
 * Starts a realm: reads its files, takes its store, and opens its listeners. Throws a RealmFileError, a StoreError,
 * AuditUnavailable or a ListenError; then nothing is left open.
 */
export async function startRealm(options: RealmOptions): Promise<Realm> {
  if (options.bus !== undefined && options.files.witnessKey !== undefined)
    throw new TypeError('a realm of several replicas is no witness');
  const files = await readFiles(options.files);
  const metrics = await createMetrics();
  const times = { ...defaultTimes, ...options.times };
  const { log } = options;
  const bus = await openBus(options).catch((error: unknown) => {
    metrics.close();
    throw error;
  });
  const current: CurrentFiles = { files };
  const accepted = new AcceptedRemotes(() => current.files.authorization, options.allowUnattested);
  const live = new LiveGuests(
    () => bus.remote(),
    (guests) => accepted.of(guests),
  );
  const report = reportFaults(log, metrics);
  const onFault = (id: string, fault: LogFault): void => {
    report(id, fault);
    live.touch(id);
  };
  let onRecords: (id: string) => void = () => undefined;
  const store = await Store.open({
    directory: options.store,
    tryLock: options.tryLock,
    bootId: randomUUID(),
    maxBytes: options.maxLogPerGuest,
    space: { max: options.storeMax, everyMs: times.retryMs, onChange: reportSpace(log) },
    shared: bus.shared,
    onFault,
    onWritten: (records, bytes, id) => {
      onRecords(id);
      metrics.add('kata_realm_log_records_total', records);
      metrics.add('kata_realm_log_bytes_total', bytes);
    },
  }).catch(async (error: unknown) => {
    metrics.close();
    await bus.close();
    throw error;
  });
  const decisions = new DecisionLog(store.decisions);
  let realm: RunningRealm | undefined;
  try {
    const witness = await openWitness(options, { live, store, decisions });
    realm = new RunningRealm({ options, current, metrics, store, times, bus, live, decisions, witness });
    onRecords = (id) => realm?.recordsStored(id);
    const { version } = options;
    const { sha256 } = files.authorization;
    await store.decisions.boot({
      program: 'realm',
      version,
      authorization: sha256,
      attestation: attestationOf(options),
      ...(files.evidence === undefined ? {} : { reference: files.evidence.sha256 }),
    });
    await realm.open();
  } catch (error) {
    if (realm === undefined) {
      metrics.close();
      await Promise.allSettled([store.close(), bus.close()]);
    } else await realm.close().catch(() => undefined);
    throw error;
  }
  for (const warning of files.warnings) log('warn', renderDiagnostic(warning));
  return realm;
}

/** Whether guests are asked for evidence, in the boot record. */
function attestationOf({ files, allowUnattested }: RealmOptions): 'none' | 'optional' | 'required' {
  if (files.reference === undefined) return allowUnattested ? 'none' : 'required';
  return allowUnattested ? 'optional' : 'required';
}

/** Returns a function that counts the faults of logs, and logs the first, second, fourth … of each guest and kind. */
function reportFaults(log: RealmLog, metrics: Metrics): (id: string, fault: LogFault) => void {
  const report = onDoublingsOfEach<{ readonly id: string; readonly fault: LogFault }>(
    (_key, times, { id, fault }) =>
      log('error', 'ALERT: the audit log of a guest is not intact', {
        id,
        fault: fault.kind,
        what: fault.what,
        times,
      }),
  );
  return (id, fault) => {
    metrics.add('kata_realm_log_faults_total', 1, { kind: fault.kind });
    report(`${id} ${fault.kind}`, { id, fault });
  };
}

/** Returns a function that logs that the store has become full, and that it has room again. */
function reportSpace(log: RealmLog): (why: string | undefined) => void {
  return (why) => {
    if (why === undefined)
      log('info', 'the store has room again: logs of guests are collected from where they were');
    else
      log('error', 'ALERT: the store is full: no records of guests are stored, and none is removed', { why });
  };
}

/** Opens the bus of a realm. What NATS needs is loaded only if there is one. Throws a BusError. */
async function openBus({ bus, log }: RealmOptions): Promise<Bus> {
  if (bus === undefined) return oneProcess;
  const { NatsBus } = await import('../bus/nats/nats-bus.js');
  return await NatsBus.open({
    ...bus,
    log: (message, error) => log('warn', message, error === undefined ? {} : { why: error.message }),
  });
}
