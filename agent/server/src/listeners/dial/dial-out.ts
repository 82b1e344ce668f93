import type { TLSSocket } from 'node:tls';
import { callAtEnd } from '@kata-agent/connection-limits';
import { AuditUnavailable } from '@kata-agent/audit';
import { type DialSettings, dialAddress, type ListenerSettings } from '@kata-agent/config';
import type { Caller, Realm } from '../../caller.js';
import { recordUntilClosed } from '../connections.js';
import type { Listener } from '../listen.js';
import { channelBinding, identityOf } from '../tls/tls-identity.js';
import { dialBackoffMs } from './backoff.js';
import {
  type DialContext,
  dialledServer,
  type ServerConnection,
  type ServerOptions,
} from './connect-server.js';
import { DialFailure } from './dial-failure.js';
import { DialFailures, serverText } from './dial-failures.js';
import { dialServer } from './dial-server.js';
import { RelayedConnections } from './relayed-connections.js';

/** How often the received bytes are compared, in parts of the silence. */
const parts = 15;

/** The server calls Health each 30 s (docs/configuration.md, "Dialling out"): two of them can be late. */
const silenceMs = 75_000;

/** A connection that lasted less counts as a failure: a server that closes each at once is not asked every second. */
const defaultSteadyMs = 60_000;

/** A listener at an `https://` address. */
export interface DialOutOptions
  extends DialContext,
    Pick<ListenerSettings, 'name' | 'address' | 'peers' | 'limits'> {
  readonly dial: DialSettings;
  /** Absent: the fixed times. */
  readonly times?: {
    readonly silenceMs?: number;
    readonly steadyMs?: number;
    readonly waitMs?: (failures: number, lost: boolean) => number;
  };
}

/**
 * Dials a server, has it served as a listener, and dials again when the connection has ended or was not made, until it is
 * closed. There is one connection at a time, beside those of operators.
 */
export class DialOut implements Listener {
  readonly #options: DialOutOptions;
  readonly #server: ServerOptions;
  readonly #failures: DialFailures;
  readonly #realm: Realm;
  readonly #closing = new AbortController();
  #live: { readonly stream: TLSSocket; why?: string } | undefined;

  /** Throws a TlsSettingError if `server_ca`, or `client_ca` or `client_crl` of the operators, is not valid. */
  constructor(options: DialOutOptions) {
    const { name, address: text, dial, own, audit, log } = options;
    const address = dialAddress(text);
    if (address === undefined) throw new TypeError(`${text} is not an https:// address`);
    this.#options = options;
    this.#server = dialledServer(address, dial, { own });
    this.#failures = new DialFailures({ name, address: text, host: address.host }, audit, log);
    this.#realm = this.#makeRealm();
  }

  /** Makes the first attempt, and returns at once. */
  start(): void {
    void this.#run();
  }

  /** Makes no further attempt. The open connection stays, as those of other listeners do. */
  async close(): Promise<void> {
    this.#closing.abort();
  }

  async #run(): Promise<void> {
    const { waitMs, steadyMs = defaultSteadyMs } = this.#options.times ?? {};
    let lost = false;
    for (let failures = 0; !this.#closing.signal.aborted; failures += 1) {
      if ((await this.#connect()) >= steadyMs) {
        failures = 0;
        lost = true;
      }
      await this.#wait(waitMs?.(failures, lost) ?? dialBackoffMs(failures, lost, Math.random()));
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
      const connection = await this.#dial();
      const begin = performance.now();
      await this.#serve(connection);
      return performance.now() - begin;
    } catch (error) {
      this.#failed(error);
      return 0;
    }
  }

  #dial(): Promise<ServerConnection> {
    const { relay, handshakeTimeoutMs } = this.#options.dial;
    const request = {
      protocol: 'kata-agent-ttrpc/1',
      headers: { 'Kata-Agent-Relay': relay.kind },
    } as const;
    return dialServer(this.#server, request, handshakeTimeoutMs, [this.#closing.signal]);
  }

  #makeRealm(): Realm {
    const { dial, limits } = this.#options;
    if (dial.relay.kind === 'trusted') return { relay: 'trusted' };
    const relayed = new RelayedConnections({
      ...this.#options,
      server: this.#server,
      timeoutMs: dial.handshakeTimeoutMs,
      callers: dial.relay.callers,
      operators: dial.relay.operators,
      connections: limits.connections,
      failures: this.#failures,
      closing: this.#closing.signal,
    });
    return { relay: 'operator-tls', openConnection: (...asked) => relayed.open(...asked) };
  }

  /** Serves a connection until it closes. Its first call is answered after the connection is recorded. */
  async #serve({ stream, certificate }: ServerConnection): Promise<void> {
    const { name, dial, revocations, records, log, serve, times } = this.#options;
    const caller: Caller = {
      listener: name,
      peer: serverText(this.#server.address.host, certificate),
      identity: identityOf(certificate),
      realm: this.#realm,
      exporter: () => channelBinding(stream),
    };
    const closed = new Promise<void>((resolve) => {
      if (stream.closed) resolve();
      else stream.once('close', () => resolve());
    });
    // A caller may end its requests and still get the replies.
    stream.allowHalfOpen = true;
    await recordUntilClosed(records, stream, caller, `the server is dialled; relay = "${dial.relay.kind}"`);
    if (this.#closing.signal.aborted) stream.destroy();
    if (stream.destroyed) return closed;
    this.#live = { stream };
    const quiet = times?.silenceMs ?? silenceMs;
    const cancels = [
      revocations.addServer(name, certificate),
      callAtEnd(certificate.notAfter - Date.now(), () => this.#end('its certificate has expired')),
      endAfterSilence(
        quiet,
        () => stream.bytesRead,
        () => this.#end(`nothing was received for ${quiet / 1_000} s`),
      ),
    ];
    this.#failures.reset();
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
    if (this.#closing.signal.aborted) return;
    const failure =
      error instanceof DialFailure
        ? error
        : new DialFailure(error instanceof AuditUnavailable ? error.message : String(error), {
            refused: false,
          });
    this.#failures.add(failure);
  }
}

/**
 * Calls `work` once nothing was received for a time. Bytes that we send do not count: they can lie in buffers while the
 * other end is gone. Returns a function that cancels it.
 *
 * @param received returns the number of bytes received so far.
 */
function endAfterSilence(silenceMs: number, received: () => number, work: () => void): () => void {
  let before = received();
  let quiet = 0;
  const timer = setInterval(() => {
    const now = received();
    quiet = now === before ? quiet + 1 : 0;
    before = now;
    if (quiet < parts) return;
    clearInterval(timer);
    work();
  }, silenceMs / parts);
  return () => clearInterval(timer);
}
