import { randomUUID } from 'node:crypto';
import { renderDiagnostic } from '@kata-agent/config';
import { GuestConnections } from '../guests/guest-connections.js';
import { GuestsServer } from '../guests/guests-server.js';
import { LiveGuests } from '../guests/live-guests.js';
import { openConnection } from '../guests/open-connection.js';
import { Rendezvous } from '../guests/rendezvous.js';
import type { HostPort } from '../listener/listen.js';
import type { OperatorContext, RemoteUse, StoredGuest } from '../operators/operator-context.js';
import { operatorLimits } from '../operators/operator-limits.js';
import { revokesRealm } from '../operators/own-certificate.js';
import { type OperatorHandler, OperatorService } from '../operators/operator-service.js';
import type { LogFault } from '../store/log-note.js';
import { Store } from '../store/store.js';
import type { Operator } from '../authorization/operator.js';
import { type Bus, type RemoteConnect, type RemoteHandlers, RemoteRefusedError } from '../bus/bus.js';
import { oneProcess } from '../bus/one-process.js';
import { verifyOperatorChain } from '../listener/operator-chain.js';
import { Decisions } from './decisions.js';
import { createMetrics, type Metrics } from './metrics.js';
import { OperatorsServer } from './operators-server.js';
import { rarely } from './rarely.js';
import { type ReadFiles, readFiles } from './read-files.js';
import { type Realm, type RealmOptions, type RealmTimes, usualTimes } from './realm-options.js';
import { StatusServer } from './status-server.js';

const guestBounds = {
  connections: 8_192,
  pending: 256,
  pendingPerAddress: 64,
  // All guests return at once after a realm has ended, and many can have one address.
  waiting: { connections: 4_096, perAddress: 2_048 },
};
const operatorBounds = {
  connections: 4_096,
  pending: 64,
  pendingPerAddress: 16,
  waiting: { connections: 0, perAddress: 0 },
};
/** The bus comes back while guests keep what it has missed. */
const busRetryMs = 2_000;
const bytesPerSecond = 8 * 1024 * 1024;

/** An address cannot be opened. */
export class ListenError extends Error {}

/**
 * Starts a realm: reads its files, takes its store, and opens its listeners. Throws a RealmFileError, a StoreError,
 * AuditUnavailable or a ListenError; then nothing is left open.
 */
export async function startRealm(options: RealmOptions): Promise<Realm> {
  const files = await readFiles(options.files);
  const metrics = await createMetrics();
  const times = { ...usualTimes, ...options.times };
  const { log } = options;
  const bus = await openBus(options).catch((error: unknown) => {
    metrics.close();
    throw error;
  });
  const live = new LiveGuests(() => bus.remote());
  const report = faultReporter(options, metrics);
  const onFault = (id: string, fault: LogFault): void => {
    report(id, fault);
    live.touch(id);
  };
  const store = await Store.open({
    directory: options.store,
    tryLock: options.tryLock,
    bootId: randomUUID(),
    maxBytes: options.maxLogPerGuest,
    shared: bus.shared,
    onFault,
    onWritten: (records, bytes) => {
      metrics.add('kata_realm_log_records_total', records);
      metrics.add('kata_realm_log_bytes_total', bytes);
    },
  }).catch(async (error: unknown) => {
    metrics.close();
    await bus.close();
    throw error;
  });
  const realm = new RunningRealm({ options, files, metrics, store, times, bus, live });
  try {
    const { version } = options;
    const { sha256 } = files.authorization;
    await store.decisions.boot({ program: 'realm', version, authorization: sha256, attestation: 'none' });
    await realm.open();
  } catch (error) {
    await realm.close().catch(() => undefined);
    throw error;
  }
  for (const warning of files.warnings) log('warn', renderDiagnostic(warning));
  return realm;
}

/** Loads what a bus needs only if there is one. */
async function openBus({ bus, log }: RealmOptions): Promise<Bus> {
  if (bus === undefined) return oneProcess;
  const { NatsBus } = await import('../bus/nats/nats-bus.js');
  return await NatsBus.open({
    ...bus,
    log: (message, error) => log('warn', message, { why: error.message }),
  });
}

function faultReporter({ log }: RealmOptions, metrics: Metrics): (id: string, fault: LogFault) => void {
  let last: LogFault = { kind: 'gap', sequence: 0, what: '' };
  const report = rarely((key, times) => {
    const [id] = key.split(' ');
    log('error', 'ALERT: the audit log of a guest is not intact', {
      id,
      fault: last.kind,
      what: last.what,
      times,
    });
  });
  return (id, fault) => {
    metrics.add('kata_realm_log_faults_total', 1, { kind: fault.kind });
    last = fault;
    report(`${id} ${fault.kind}`);
  };
}

interface Parts {
  readonly options: RealmOptions;
  readonly files: ReadFiles;
  readonly metrics: Metrics;
  readonly store: Store;
  readonly times: RealmTimes;
  readonly bus: Bus;
  readonly live: LiveGuests;
}

class RunningRealm implements Realm {
  readonly #options: RealmOptions;
  readonly #metrics: Metrics;
  readonly #store: Store;
  readonly #bus: Bus;
  readonly #decisions: Decisions;
  readonly #guestConnections: GuestConnections;
  readonly #guests: GuestsServer;
  readonly #operators: OperatorsServer;
  readonly #status: StatusServer;
  readonly #service: OperatorHandler;
  readonly #syncing: NodeJS.Timeout;
  #files: ReadFiles;
  #ports: Realm['ports'] = { guests: 0, operators: 0, metrics: undefined };
  #isReady = false;
  #closed: Promise<void> | undefined;
  #reloading: Promise<void> = Promise.resolve();

  constructor({ options, files, metrics, store, times, bus, live }: Parts) {
    this.#bus = bus;
    this.#options = options;
    this.#files = files;
    this.#metrics = metrics;
    this.#store = store;
    this.#decisions = new Decisions(store.decisions);
    const { log } = options;
    const rendezvous = new Rendezvous();
    const authorization = (): ReadFiles['authorization'] => this.#files.authorization;
    this.#guestConnections = new GuestConnections({
      authorization,
      bus,
      guests: live,
      store,
      decisions: this.#decisions,
      metrics,
      log,
      health: { everyMs: times.healthEveryMs, timeoutMs: times.healthTimeoutMs },
      collect: {
        bytesPerSecond,
        overlapMs: times.overlapMs,
        retryMs: bus.shared === undefined ? times.retryMs : Math.min(times.retryMs, busRetryMs),
      },
      callMs: times.callMs,
    });
    this.#guests = new GuestsServer({
      identity: files.identity,
      bounds: { ...guestBounds, pendingMs: times.pendingMs + times.callMs },
      rendezvous,
      findElsewhere: (id, token) => bus.findToken(id, token),
      onControl: (connection) => void this.#guestConnections.serve(connection),
      onRefusal: this.#refusals('guests', 'KA3301', () =>
        metrics.add('kata_realm_guests_refused_total', 1, { reason: 'request' }),
      ),
    });
    const { operatorHandler = (context) => new OperatorService(context) } = options;
    this.#service = operatorHandler(this.#operatorContext(live, rendezvous));
    bus.serve(this.#remoteHandlers(live));
    const operatorRefused = this.#refusals('operators', 'KA3302', () => undefined);
    this.#operators = new OperatorsServer({
      identity: files.identity,
      operatorCa: files.operatorCa,
      bounds: { ...operatorBounds, pendingMs: times.pendingMs },
      authorization,
      service: this.#service,
      onRequest: () => metrics.add('kata_realm_operator_requests_total'),
      onRefusal: (peer, why, reason) => {
        metrics.add('kata_realm_operators_refused_total', 1, { reason });
        operatorRefused(peer, why);
      },
      onConnections: (change) => metrics.add('kata_realm_operator_connections', change),
    });
    this.#status = new StatusServer(
      {
        contentType: metrics.contentType,
        text: () => {
          this.#measure();
          return metrics.text();
        },
      },
      () => this.#isReady && store.decisions.writable && bus.ready,
    );
    this.#syncing = setInterval(() => {
      void store.sync().catch((error: Error) => log('error', 'the store', { error: error.message }));
    }, times.syncMs).unref();
    metrics.set('kata_realm_ready', 0);
  }

  get ports(): Realm['ports'] {
    return this.#ports;
  }

  async open(): Promise<void> {
    const { guests, operators, metrics, log } = this.#options;
    const status = metrics === undefined ? undefined : await opened('--metrics', this.#status, metrics);
    const guestsPort = await opened('--guests', this.#guests, guests);
    const operatorsPort = await opened('--operators', this.#operators, operators);
    this.#ports = { guests: guestsPort, operators: operatorsPort, metrics: status };
    this.#isReady = true;
    this.#metrics.set('kata_realm_ready', 1);
    log('warn', 'guests are not attested: their configurations are their word (--allow-unattested)');
    log('info', 'listening', { guests: guestsPort, operators: operatorsPort, metrics: status });
  }

  reload(): Promise<void> {
    this.#reloading = this.#reloading.then(() => this.#reload());
    return this.#reloading;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #reload(): Promise<void> {
    if (this.#closed !== undefined) return;
    const { log, files: paths } = this.#options;
    const peer = `pid ${process.pid}`;
    try {
      const files = await readFiles(paths);
      this.#operators.replaceSecrets(files.identity, files.operatorCa);
      this.#guests.replaceIdentity(files.identity);
      this.#files = files;
      for (const warning of files.warnings) log('warn', renderDiagnostic(warning));
    } catch (error) {
      const { message, help = [] } = error as Error & { readonly help?: readonly string[] };
      this.#metrics.add('kata_realm_reloads_total', 1, { outcome: 'failed' });
      this.#decisions.note(
        'signals',
        peer,
        '(reload)',
        `nothing has changed: ${message}`,
        'FAILED_PRECONDITION',
      );
      log('error', 'the files were not read again: nothing has changed', {
        error: [message, ...help].join('\n'),
      });
      return;
    }
    const guests = this.#guestConnections.recheck();
    const operators = this.#operators.recheck();
    this.#service.recheck();
    const { sha256 } = this.#files.authorization;
    this.#metrics.add('kata_realm_reloads_total', 1, { outcome: 'ok' });
    const ended = `${guests} guests and ${operators} operators are no longer allowed`;
    this.#decisions.note('signals', peer, '(reload)', `authorization file sha256:${sha256}; ${ended}`, 'OK');
    log('info', 'files read again', { authorization: `sha256:${sha256}`, guests, operators });
  }

  async #close(): Promise<void> {
    const { drainMs, log } = this.#options;
    if (this.#isReady) log('info', 'draining', { drainMs });
    this.#isReady = false;
    this.#metrics.set('kata_realm_ready', 0);
    const late = AbortSignal.timeout(drainMs);
    const drained = await this.#operators.drain(late);
    if (!drained) log('warn', 'operators are still connected: their connections are closed');
    this.#service.close();
    this.#operators.close();
    this.#guests.stop();
    // Otherwise what waits for the bus would wait for ever.
    if (!this.#bus.ready) this.#bus.stop();
    await this.#guestConnections.close();
    this.#guests.close();
    clearInterval(this.#syncing);
    try {
      await this.#store.close();
    } finally {
      await this.#bus.close();
      this.#status.close();
      this.#metrics.close();
    }
    log('info', 'ended');
  }

  #measure(): void {
    const { operatorTls, trusted, readers, bytes } = this.#service.counts;
    const metrics = this.#metrics;
    metrics.set('kata_realm_decisions_writable', this.#store.decisions.writable ? 1 : 0);
    metrics.set('kata_realm_operator_uses', operatorTls, { kind: 'operator-tls' });
    metrics.set('kata_realm_operator_uses', trusted, { kind: 'trusted' });
    metrics.set('kata_realm_operator_uses', readers, { kind: 'audit' });
    metrics.raise('kata_realm_relayed_bytes_total', bytes.toGuest, { direction: 'to_guest' });
    metrics.raise('kata_realm_relayed_bytes_total', bytes.toOperator, { direction: 'to_operator' });
  }

  #operatorContext(guests: LiveGuests, rendezvous: Rendezvous): OperatorContext {
    const store = this.#store;
    const { log } = this.#options;
    return {
      guests,
      logs: {
        stateOf: (id) => {
          const known = store.logOf(id, guests.own(id) !== undefined);
          if (known === undefined || (known.state === 'not-served' && known.records === 0)) return undefined;
          return known;
        },
        find: (name) => findKnown(store, name),
        readLog: (id, from, follow, signal) => store.read(id, { from, follow, signal }),
      },
      decisions: {
        record: (decision) => {
          const outcome = decision.allowed ? 'allowed' : 'denied';
          if (decision.method !== undefined) this.#metrics.add('kata_realm_calls_total', 1, { outcome });
          this.#decisions.record(decision);
        },
      },
      limits: operatorLimits,
      openConnection: async (guest, certificates) => {
        const stream = await openConnection(rendezvous, guest, { bus: this.#bus, certificates });
        if (stream === undefined) throw new Error('the connection was passed on');
        return stream;
      },
      openConnectionFor: (guest, certificates, { id: pipe }) =>
        openConnection(rendezvous, guest, { bus: this.#bus, certificates, pipe }),
      remote: {
        connect: (guest, certificates, timeoutMs) => this.#bus.connect(guest, certificates, timeoutMs),
        revoke: (guest, certificates, revocation) =>
          this.#bus.revoke(guest, certificates, { peer: '', serial: '', issuer: '', ...revocation }),
      },
      revoke: async ({ id }, revocation) => {
        const revoked = { peer: '', serial: '', issuer: '', ...revocation };
        const { peer, serial, issuer } = revoked;
        const request = { revoked: peer === '' ? `serial ${serial} issuer ${issuer}` : peer };
        const about = `guest ${id}`;
        const end = await this.#decisions.act('operators', about, 'RevokePeer', 'an operator revokes', {
          request,
        });
        try {
          const closed = await this.#guestConnections.revoke(id, revoked);
          end('OK');
          return { closed };
        } catch (error) {
          end('FAILED', (error as Error).message);
          throw error;
        }
      },
      isOwn: (revocation) => revokesRealm(revocation, this.#files.identity.cert),
      report: (message, error) =>
        log('error', message, { error: (error as Error | undefined)?.stack ?? String(error) }),
    };
  }

  /** What this replica does for others: it decides again, by its own files. */
  #remoteHandlers(live: LiveGuests): RemoteHandlers {
    const operatorOf = (certificates: readonly Buffer[]): (() => Operator | undefined) => {
      const certificate = verifyOperatorChain(certificates, this.#files.operatorCa, Date.now());
      if (typeof certificate === 'string') {
        this.#decisions.refuse('operators', 'another replica', 'KA3302', certificate);
        throw new RemoteRefusedError({ status: 403, code: 'unknown_operator', message: certificate });
      }
      return () =>
        Date.now() < certificate.notAfter ? this.#files.authorization.operator(certificate) : undefined;
    };
    const useOf = ({ guest: id, certificates }: RemoteConnect): RemoteUse => {
      const guest = live.own(id);
      if (guest === undefined) throw new Error('the guest has left');
      return { guest, certificates, source: operatorOf(certificates) };
    };
    return {
      connect: async (request, pipe) => this.#service.serveRemote(useOf(request), pipe),
      revoke: (request, revoked) => this.#service.revokeRemote(useOf(request), revoked),
      joined: (guest, certificates, pipe) => {
        try {
          this.#service.joined({ guest, source: operatorOf(certificates) }, pipe);
        } catch (error) {
          pipe.destroy(error as Error);
        }
      },
      revoked: (revocation) => this.#guestConnections.say(revocation),
    };
  }

  /** Returns a function that records refusals, and logs the first, second, fourth … of each address. */
  #refusals(
    listener: 'guests' | 'operators',
    code: 'KA3301' | 'KA3302',
    count: () => void,
  ): (peer: string, why: string) => void {
    const { log } = this.#options;
    let reason = '';
    const report = rarely((peer, times) =>
      log('warn', 'closed a connection before it was served', { code, listener, peer, why: reason, times }),
    );
    return (peer, why) => {
      count();
      this.#decisions.refuse(listener, peer, code, why);
      reason = why;
      report(peer);
    };
  }
}

/** Finds a guest that has been connected. A name can have been that of several: the last one is meant. */
function findKnown(store: Store, name: string): StoredGuest | undefined {
  const all = store.described();
  const [named] = all
    .filter((guest) => guest.name === name)
    .sort((a, b) => b.connectedAt.localeCompare(a.connectedAt));
  if (named !== undefined || !/^[0-9a-f]{12,64}$/.test(name)) return named;
  const [found, ...more] = all.filter(({ id }) => id.startsWith(name));
  return more.length === 0 ? found : undefined;
}

async function opened(
  option: string,
  server: { listen: (address: HostPort) => Promise<number> },
  address: HostPort,
): Promise<number> {
  try {
    return await server.listen(address);
  } catch (error) {
    throw new ListenError(`${option} ${address.host}:${address.port}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
