import type { TLSSocket } from 'node:tls';
import { type AuditLog, AuditUnavailable } from '@kata-agent/audit';
import { type DialAddress, type DialSettings, dialAddress } from '@kata-agent/config';
import { type Certificate, formatPin } from '@kata-agent/x509';
import type { Log } from '../../startup/log.js';
import type { Caller } from '../caller.js';
import { recordConnectionRefusal } from '../connection-refusal.js';
import type { ConnectionRecords } from '../connection-records.js';
import type { Listener } from '../listen.js';
import { rarely } from '../rarely.js';
import { callAtEnd } from '../tls/call-at-end.js';
import { readCas } from '../tls/client-ca.js';
import type { OwnIdentity } from '../tls/own-identity.js';
import { type Revocations, revokes } from '../tls/revocations.js';
import { identityOf } from '../tls/tls-identity.js';
import { backoffMs } from './backoff.js';
import { connectServer, type ServerConnection, type ServerOptions } from './connect-server.js';
import { DialFailure } from './dial-failure.js';
import { endAfterSilence } from './end-after-silence.js';
import { upgrade } from './upgrade.js';

/** The server calls Health each 30 s (docs/configuration.md, "Dialling out"): two of them can be late. */
const silenceMs = 75_000;

/** A connection that lasted less counts as a failure: a server that closes each at once is not asked every second. */
const steadyMs = 60_000;

export interface DialOutOptions {
  /** The listener. */
  readonly name: string;
  readonly address: string;
  readonly dial: DialSettings;
  readonly own: Pick<OwnIdentity, 'key' | 'certificate'>;
  readonly revocations: Revocations;
  readonly records: Pick<ConnectionRecords, 'begin'>;
  readonly audit: Pick<AuditLog, 'refuse'>;
  readonly log: Log;
  readonly serve: (stream: TLSSocket, caller: Caller) => void;
  /** Absent: the fixed times. */
  readonly times?: { readonly silenceMs?: number; readonly waitMs?: (failures: number) => number };
}

/**
 * Dials a server, has it served as a listener, and dials again when the connection has ended or was not made, until it is
 * closed. There is one connection at a time.
 */
export class DialOut implements Listener {
  readonly #options: DialOutOptions;
  readonly #address: DialAddress;
  readonly #server: ServerOptions;
  readonly #closing = new AbortController();
  #live: { readonly stream: TLSSocket; readonly certificate: Certificate; why?: string } | undefined;
  #reportFailure: (failure: DialFailure) => void;

  /** Throws a TlsSettingError if `server_ca` is not valid. */
  constructor(options: DialOutOptions) {
    const { address: text, dial, own, revocations } = options;
    const address = dialAddress(text);
    if (address === undefined) throw new TypeError(`${text} is not an https:// address`);
    this.#options = options;
    this.#address = address;
    this.#server = {
      address,
      serverCa: readCas('server_ca', [dial.serverCa]),
      pins: dial.pins,
      own,
      isRevoked: (certificate) => revocations.has(certificate),
      now: Date.now,
    };
    this.#reportFailure = this.#reporter();
    revocations.watch((revocation) => {
      const live = this.#live;
      if (live === undefined || !revokes(revocation, live.certificate)) return 0;
      this.#end('its certificate is revoked');
      return 1;
    });
  }

  /** Makes the first attempt, and returns at once. */
  start(): void {
    void this.#run();
  }

  /** Makes no further attempt. The open connection stays, as those of other listeners do. */
  async close(): Promise<void> {
    this.#closing.abort(new DialFailure('the agent ends', { refused: false }));
  }

  async #run(): Promise<void> {
    const waitMs = this.#options.times?.waitMs ?? ((failures: number) => backoffMs(failures, Math.random()));
    for (let failures = 0; !this.#closing.signal.aborted; failures += 1) {
      const lasted = await this.#connect();
      if (lasted >= steadyMs) failures = 0;
      await this.#wait(waitMs(failures));
    }
  }

  /** Waits, or until the listener is closed. The timer keeps the process alive: there may be no other listener. */
  #wait(milliseconds: number): Promise<void> {
    const { signal } = this.#closing;
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      signal.addEventListener('abort', done);
    });
  }

  /** Makes a connection and waits for its end. Returns how long it was served, in milliseconds. */
  async #connect(): Promise<number> {
    try {
      const connection = await this.#attempt();
      const begin = performance.now();
      await this.#serve(connection);
      return performance.now() - begin;
    } catch (error) {
      this.#failed(error);
      return 0;
    }
  }

  /** Everything until the server has accepted the Upgrade has one deadline. */
  async #attempt(): Promise<ServerConnection> {
    const attempt = new AbortController();
    const abort = (): void => attempt.abort(this.#closing.signal.reason);
    let verified: Certificate | undefined;
    const late = (): void => {
      const text = verified === undefined ? 'no handshake' : 'no answer to the Upgrade';
      const known = verified === undefined ? {} : { certificate: verified };
      const refused = verified !== undefined;
      attempt.abort(new DialFailure(`${text} within handshake_timeout`, { refused, ...known }));
    };
    const timer = setTimeout(late, this.#options.dial.handshakeTimeoutMs);
    this.#closing.signal.addEventListener('abort', abort);
    try {
      const connection = await connectServer(this.#server, attempt.signal);
      verified = connection.certificate;
      await upgrade(connection, this.#address, attempt.signal);
      return connection;
    } finally {
      clearTimeout(timer);
      this.#closing.signal.removeEventListener('abort', abort);
    }
  }

  /** Serves a connection until it closes. Its first call is answered after the connection is recorded. */
  async #serve({ stream, certificate }: ServerConnection): Promise<void> {
    const { name, dial, records, log, serve, times } = this.#options;
    const caller: Caller = {
      listener: name,
      peer: this.#peer(certificate),
      identity: identityOf(certificate),
    };
    const closed = new Promise<void>((resolve) => {
      if (stream.closed) resolve();
      else stream.once('close', () => resolve());
    });
    try {
      // A caller may end its requests and still get the replies.
      stream.allowHalfOpen = true;
      const ended = await records.begin(caller, `the server is dialled; relay = "${dial.relay}"`);
      void closed.then(ended);
    } catch (error) {
      stream.destroy();
      throw error;
    }
    // Also one that was revoked meanwhile.
    if (this.#closing.signal.aborted || this.#server.isRevoked(certificate)) stream.destroy();
    if (stream.destroyed) return closed;
    this.#live = { stream, certificate };
    const quiet = times?.silenceMs ?? silenceMs;
    const cancels = [
      callAtEnd(certificate.notAfter - Date.now(), () => this.#end('its certificate has expired')),
      endAfterSilence(
        quiet,
        () => stream.bytesRead,
        () => this.#end(`nothing was received for ${quiet / 1_000} s`),
      ),
    ];
    this.#reportFailure = this.#reporter();
    log('info', 'connected', { listener: name, peer: caller.peer });
    serve(stream, caller);
    await closed;
    for (const cancel of cancels) cancel();
    log('info', 'connection ended', { listener: name, peer: caller.peer, why: this.#live?.why ?? 'closed' });
    this.#live = undefined;
  }

  #end(why: string): void {
    if (this.#live === undefined) return;
    this.#live.why ??= why;
    this.#live.stream.destroy();
  }

  #failed(error: unknown): void {
    const { name, audit } = this.#options;
    if (this.#closing.signal.aborted) return;
    const failure =
      error instanceof DialFailure
        ? error
        : new DialFailure(error instanceof AuditUnavailable ? error.message : String(error), {
            refused: false,
          });
    this.#reportFailure(failure);
    if (failure.refused)
      recordConnectionRefusal(
        audit,
        { listener: name, peer: this.#peer(failure.certificate) },
        'KA3204',
        failure.message,
      );
  }

  /** Returns a function that logs the first failure since the last connection, and then each doubling. */
  #reporter(): (failure: DialFailure) => void {
    const { name, address, log } = this.#options;
    let last = new DialFailure('', { refused: false });
    const report = rarely((times) =>
      log('warn', last.refused ? 'server not accepted' : 'server not reached', {
        ...(last.refused ? { code: 'KA3204' } : {}),
        listener: name,
        address,
        why: last.message,
        times,
      }),
    );
    return (failure) => {
      last = failure;
      report();
    };
  }

  /** The server in records. Its key is named only if it was verified. */
  #peer(certificate: Certificate | undefined): string {
    const { host } = this.#address;
    return certificate === undefined ? `https ${host}` : `https ${host} ${formatPin(certificate.spki)}`;
  }
}
