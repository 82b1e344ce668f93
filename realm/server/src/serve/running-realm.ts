import type { Socket } from 'node:net';
import { onDoublingsOfEach, Semaphore } from '@kata-agent/base';
import { renderDiagnostic } from '@kata-agent/config';
import { GuestAlerts } from '../guests/guest-alerts.js';
import { GuestConnections } from '../guests/guest-connections.js';
import { GuestsServer } from '../guests/guests-server.js';
import { LiveGuests } from '../guests/live-guests.js';
import { RevocationFilter, revokesRealm } from '../guests/guest-revocations.js';
import { Rendezvous } from '../guests/rendezvous.js';
import { SilenceWatch } from '../guests/silence-watch.js';
import type { HostPort } from '../listener/listen.js';
import { type OperatorHandler, OperatorService } from '../operators/operator-service.js';
import { Store } from '../store/store.js';
import type { Bus } from '../bus/bus.js';
import type { RealmLog } from '../realm-log.js';
import { type OpenedWitness, witnessRequests } from './open-witness.js';
import { DecisionLog } from '../operators/decision-log.js';
import { type Metrics } from '../metrics/metrics.js';
import { operatorContextOf } from './operator-context-of.js';
import { measureRealm, StatusServer } from './status-server.js';
import { OperatorsServer } from './operators-server.js';
import { type ReadFiles, readFiles } from './read-files.js';
import { type Realm, type RealmOptions, type RealmTimes } from './realm-options.js';
import { remoteHandlers } from './remote-handlers.js';

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

/** The files that count now. */
export interface CurrentFiles {
  files: ReadFiles;
}

interface Parts {
  readonly options: RealmOptions;
  readonly current: CurrentFiles;
  readonly metrics: Metrics;
  readonly store: Store;
  readonly times: RealmTimes;
  readonly bus: Bus;
  readonly live: LiveGuests;
  readonly decisions: DecisionLog;
  readonly witness: OpenedWitness | undefined;
}

/** A realm with its connections and servers. */
export class RunningRealm implements Realm {
  readonly #options: RealmOptions;
  readonly #metrics: Metrics;
  readonly #store: Store;
  readonly #bus: Bus;
  readonly #decisions: DecisionLog;
  readonly #guestConnections: GuestConnections;
  readonly #guests: GuestsServer;
  readonly #operators: OperatorsServer;
  readonly #status: StatusServer;
  readonly #service: OperatorHandler;
  readonly #syncing: NodeJS.Timeout;
  readonly #witness: OpenedWitness | undefined;
  readonly #silence: SilenceWatch;
  readonly #current: CurrentFiles;
  #ports: Realm['ports'] = { guests: 0, operators: 0, metrics: undefined };
  #isReady = false;
  #closed: Promise<void> | undefined;
  readonly #reloads = new Semaphore(1);

  constructor({ options, current, metrics, store, times, bus, live, decisions, witness }: Parts) {
    const { files } = current;
    this.#bus = bus;
    this.#options = options;
    this.#current = current;
    this.#metrics = metrics;
    this.#store = store;
    this.#decisions = decisions;
    this.#witness = witness;
    const { log } = options;
    const alerts = new GuestAlerts({ decisions, metrics, log });
    this.#silence = new SilenceWatch({
      heartbeatMs: times.heartbeatMs,
      onChange: (id, silentMs, isConnected) => {
        const logs = store.logsOf(id);
        // Nothing is stored, for another reason.
        if (silentMs !== undefined && ['not-served', 'full', 'failed'].includes(logs?.log.state ?? ''))
          return;
        if (logs !== undefined) logs.isSilent = silentMs !== undefined;
        live.touch(id);
        alerts.silence(id, silentMs, isConnected ? (live.own(id)?.name ?? '') : undefined);
      },
    });
    const rendezvous = new Rendezvous();
    const authorization = (): ReadFiles['authorization'] => this.#files.authorization;
    const onAccept = (socket: Socket): void => options.limitUnacknowledged(socket, times.unacknowledgedMs);
    const guestRefused = reportRefusals('guests', this.#decisions, log);
    const operatorRefused = reportRefusals('operators', this.#decisions, log);
    this.#guestConnections = new GuestConnections({
      authorization,
      demand: () => ({ evidence: this.#files.evidence, allowUnattested: options.allowUnattested }),
      bus,
      guests: live,
      store,
      filter: new RevocationFilter({
        certificate: () => this.#files.identity.cert,
        names: revokesRealm,
        onOwn: () =>
          log('error', 'ALERT: a revocation names the realm, and is not sent to guests', {
            help: 'find its writer: no operator can write it',
          }),
      }),
      decisions: this.#decisions,
      alerts,
      silence: this.#silence,
      metrics,
      log,
      health: { everyMs: times.healthEveryMs, timeoutMs: times.healthTimeoutMs },
      collect: {
        bytesPerSecond,
        overlapMs: times.overlapMs,
        retryMs: bus.shared === undefined ? times.retryMs : Math.min(times.retryMs, busRetryMs),
      },
      callMs: times.callMs,
      onNamed: (guest) => this.#service.named(guest),
    });
    this.#guests = new GuestsServer({
      identity: files.identity,
      bounds: { ...guestBounds, pendingMs: times.pendingMs + times.callMs },
      onAccept,
      rendezvous,
      findElsewhere: (id, token) => bus.findToken(id, token),
      onControl: (connection) => void this.#guestConnections.serve(connection),
      witness: witnessRequests(witness?.witness, { live, metrics, log }),
      onRefusal: (peer, why) => {
        metrics.add('kata_realm_guests_refused_total', 1, { reason: 'request' });
        guestRefused(peer, why);
      },
    });
    const { operatorHandler = (context) => new OperatorService(context) } = options;
    this.#service = operatorHandler(
      operatorContextOf({
        guests: live,
        connections: this.#guestConnections,
        rendezvous,
        bus,
        store,
        decisions: this.#decisions,
        metrics,
        log,
        certificate: () => this.#files.identity.cert,
      }),
    );
    bus.serve(
      remoteHandlers({
        guests: live,
        connections: this.#guestConnections,
        operators: this.#service.remote,
        decisions: this.#decisions,
        files: () => this.#files,
      }),
    );
    this.#operators = new OperatorsServer({
      identity: files.identity,
      operatorCa: () => this.#files.operatorCa,
      bounds: { ...operatorBounds, pendingMs: times.pendingMs },
      onAccept,
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
          measureRealm(metrics, { counts: this.#service.counts, store, bus });
          return metrics.text();
        },
      },
      () => this.#isReady && store.decisions.writable && !store.space.isFull && bus.ready,
    );
    this.#syncing = setInterval(() => {
      void store.sync().catch((error: Error) => log('error', 'the store', { error: error.message }));
    }, times.syncMs).unref();
    metrics.set('kata_realm_ready', 0);
  }

  get #files(): ReadFiles {
    return this.#current.files;
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
    if (this.#options.allowUnattested)
      log(
        'warn',
        'guests without evidence are accepted: their configurations are unverified (--allow-unattested)',
      );
    if (this.#witness !== undefined) log('info', 'witness', { key: this.#witness.verifier });
    log('info', 'listening', { guests: guestsPort, operators: operatorsPort, metrics: status });
  }

  /** Records of a guest are stored, and not durable yet. */
  recordsStored(id: string): void {
    this.#silence.heard(id, this.#store.logsOf(id)?.heartbeatMs);
    this.#witness?.witness.recordsStored(id).catch((error: Error) => {
      this.#options.log('error', 'the log of a guest cannot be compared with its checkpoints', {
        id,
        error: error.message,
      });
    });
  }

  reload(): Promise<void> {
    return this.#reloads.run(() => this.#reload());
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
      this.#current.files = files;
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
    this.#silence.stop();
    try {
      // Another process can have the store then.
      await this.#witness?.witness.close();
      await this.#store.close();
    } finally {
      await this.#bus.close();
      this.#status.close();
      this.#metrics.close();
    }
    log('info', 'ended');
  }
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

/** Returns a function that records refused connections, and logs the first, second, fourth … of each address. */
function reportRefusals(
  listener: 'guests' | 'operators',
  decisions: DecisionLog,
  log: RealmLog,
): (peer: string, why: string) => void {
  const code = listener === 'guests' ? 'KA3301' : 'KA3302';
  const report = onDoublingsOfEach<string>((peer, times, why) =>
    log('warn', 'closed a connection before it was served', { code, listener, peer, why, times }),
  );
  return (peer, why) => {
    decisions.refuse(listener, peer, code, why);
    report(peer, why);
  };
}
