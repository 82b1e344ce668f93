import { onDoublings, Semaphore } from '@kata-agent/base';
import { type AuditLog, AuditUnavailable } from '@kata-agent/audit';
import { type Configuration, dialAddress, type WitnessSettings } from '@kata-agent/config';
import { type Checkpoint, type LogVerifier, parseVerifier, WitnessVerifier } from '@kata-agent/tlog';
import { serverContext, type ServerOptions } from '../listeners/dial/connect-server.js';
import { readCas, TlsSettingError } from '../listeners/tls/client-ca.js';
import { CannotApply } from '../cannot-apply.js';
import type { TlsListeners } from '../listeners/tls/tls-listeners.js';
import type { Log } from '../log.js';
import { CosignedCheckpoints } from './cosigned-checkpoints.js';
import { Coverage } from './coverage.js';
import { postCheckpoint } from './post-checkpoint.js';
import { WitnessClient, WitnessReports } from './witness-client.js';

/** A round begins early when so many records have been written since the last one. */
const earlyRecords = 1_000;
/** Each round costs a handshake with each witness. */
const shortestRoundMs = 1_000;
/** After failures in a row a witness is asked later by at most this. */
const longestWindowMs = 60_000;
/** How long the end of the agent may wait for a last cosignature. */
const lastRoundMs = 1_000;

export interface WitnessesOptions {
  readonly configuration: Pick<Configuration, 'witnesses' | 'audit' | 'listeners'>;
  readonly audit: Pick<
    AuditLog,
    'follow' | 'checkpointRound' | 'proveSince' | 'storeCosigned' | 'treeSize' | 'observe'
  >;
  readonly logKey: LogVerifier;
  readonly tls: TlsListeners | undefined;
  readonly log: Log;
}

/**
 * Has the checkpoints of the audit log cosigned, in rounds: in each the log is signed once, and every witness that is not busy
 * is asked for that checkpoint, so that a quorum can meet on one. No call waits for a witness.
 */
export class Witnesses {
  readonly #options: WitnessesOptions;
  readonly #clients: readonly WitnessClient[];
  readonly #cosigned: CosignedCheckpoints;
  /** Absent: no call depends on witnesses. */
  readonly #coverage: Coverage | undefined;
  readonly #ending = new AbortController();
  readonly #storeFailed: (error: Error) => void;
  /** Number of records in the last round, or at the last attempt at one. */
  #roundSize = 0;
  #roundAt = Number.NEGATIVE_INFINITY;
  #round: Promise<void> | undefined;
  readonly #stores = new Semaphore(1);
  #timer: NodeJS.Timeout | undefined;
  #isOverdue = false;

  /** Follows the log from its first record on. Throws CannotApply if the CA of a server is not valid. */
  constructor(options: WitnessesOptions) {
    const { configuration, audit, logKey, tls, log } = options;
    this.#options = options;
    const { checkpointEveryMs: everyMs, witnessQuorum, requiredWithin } = configuration.audit;
    this.#cosigned = new CosignedCheckpoints(witnessQuorum);
    this.#coverage = requiredWithin === 'off' ? undefined : new Coverage(requiredWithin);
    let last: Error | undefined;
    const report = onDoublings((times) =>
      log('warn', 'a cosigned checkpoint was not written', { error: last?.message, times }),
    );
    this.#storeFailed = (error) => {
      last = error;
      report();
    };
    this.#clients = configuration.witnesses.map((settings) => {
      const server = witnessServer(settings, configuration, tls);
      const { name, via } = settings;
      const listener = via.kind === 'listener' ? via.name : via.url;
      return new WitnessClient({
        verifier: verifierOf(settings.key),
        logKey,
        follower: audit.follow(),
        everyMs,
        // While calls are refused, the witness is asked as often as it may be.
        longestWindowMs: requiredWithin === 'off' ? longestWindowMs : everyMs,
        post: (body) => postCheckpoint(server, body, this.#ending.signal),
        prove: (from, signed) => audit.proveSince(from, signed),
        onCosigned: (checkpoint) => this.#add(checkpoint),
        reports: new WitnessReports({ witness: name, listener }, audit, log),
      });
    });
  }

  /** Begins with the first round, at once. */
  start(): void {
    this.#begin();
    this.#timer = setInterval(() => {
      if (this.#options.audit.treeSize !== this.#roundSize) this.#begin();
    }, this.#options.configuration.audit.checkpointEveryMs).unref();
  }

  /** Called after records were written. */
  written(size: number): void {
    const now = performance.now();
    this.#coverage?.written(size, now);
    if (this.#timer === undefined || size - this.#roundSize < earlyRecords) return;
    if (now - this.#roundAt >= shortestRoundMs) this.#begin();
  }

  /** The newest checkpoint that the quorum has cosigned, with the cosignatures. */
  get cosigned(): string | undefined {
    return this.#cosigned.newest?.text;
  }

  /** Reports whether a record is older than `required_within`, and the quorum has cosigned no checkpoint with it. */
  isOverdue(): boolean {
    const { requiredWithin } = this.#options.configuration.audit;
    const age = this.#coverage?.ageMs(performance.now());
    const isOverdue = requiredWithin !== 'off' && age !== undefined && age > requiredWithin;
    if (isOverdue && !this.#isOverdue)
      this.#options.log('error', 'calls that change something are refused: no quorum of witnesses', {
        code: 'KA3104',
        requiredWithinMs: requiredWithin,
      });
    if (!isOverdue && this.#isOverdue)
      this.#options.log('info', 'calls are served again: the quorum of witnesses is back');
    this.#isOverdue = isOverdue;
    return isOverdue;
  }

  /** Has the last records cosigned, if the witnesses are there, and ends. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    const lastRound = async (): Promise<void> => {
      await this.#round;
      this.#begin();
      await this.#round;
      await Promise.all(this.#clients.map((client) => client.settled()));
    };
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, lastRoundMs);
    });
    if (this.#timer !== undefined) await Promise.race([lastRound(), late]);
    clearTimeout(timer);
    this.#ending.abort();
    await Promise.all(this.#clients.map((client) => client.end()));
    await this.#stores.run(async () => undefined);
  }

  #begin(): void {
    if (this.#round !== undefined || this.#ending.signal.aborted) return;
    this.#roundSize = this.#options.audit.treeSize;
    this.#roundAt = performance.now();
    this.#round = this.#sign().finally(() => {
      this.#round = undefined;
    });
  }

  async #sign(): Promise<void> {
    try {
      await this.#options.audit.checkpointRound();
    } catch (error) {
      // The log reports that it cannot be written; the next round follows by itself.
      if (!(error instanceof AuditUnavailable)) throw error;
      return;
    }
    for (const client of this.#clients) client.wake();
  }

  #add(checkpoint: Checkpoint): void {
    if (!this.#cosigned.add(checkpoint)) return;
    this.#coverage?.covered(checkpoint.head.size);
    this.isOverdue();
    void this.#stores.run(() => this.#store());
  }

  async #store(): Promise<void> {
    const text = this.cosigned;
    if (text === undefined) return;
    await this.#options.audit.storeCosigned(text).catch(this.#storeFailed);
  }
}

function verifierOf(key: string): WitnessVerifier {
  const verifier = parseVerifier(key);
  if (verifier instanceof WitnessVerifier) return verifier;
  throw new TypeError(`${key} is not the key of a witness`);
}

/**
 * Returns where a witness is asked, and how its server is authenticated.
 *
 * @throws CannotApply if the CA of its server is not valid.
 */
function witnessServer(
  { name, via }: WitnessSettings,
  { listeners }: Pick<Configuration, 'listeners'>,
  tls: TlsListeners | undefined,
): ServerOptions {
  if (via.kind === 'url') return serverAt(name, via.url, via.ca);
  const listener = listeners.find((each) => each.name === via.name);
  if (listener === undefined || tls === undefined) throw new TypeError(`no listener ${via.name} dials`);
  return tls.dialledServer(listener);
}

function serverAt(name: string, url: string, ca: string): ServerOptions {
  const address = dialAddress(url);
  if (address === undefined) throw new TypeError(`${url} is not an https:// address`);
  try {
    return {
      address,
      context: serverContext(readCas('ca', [ca])),
      pins: [],
      now: Date.now,
    };
  } catch (error) {
    if (!(error instanceof TlsSettingError)) throw error;
    throw new CannotApply(`witness ${name}: ${error.message}`, { cause: error, help: error.help });
  }
}
