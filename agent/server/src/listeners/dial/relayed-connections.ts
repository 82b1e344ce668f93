import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { TokenBucket } from '@kata-agent/base';
import { callAtEnd, keepAliveMs, unacknowledgedMs } from '@kata-agent/connection-limits';
import { FairSlots } from '@kata-agent/connection-limits/fair';
import type { CallerSettings, OperatorGrant, PeerList } from '@kata-agent/config';
import { type Caller, callerKey } from '../../caller.js';
import { recordConnectionRefusal, recordUntilClosed } from '../connections.js';
import { createCallersEngine } from '../tls/callers-engine.js';
import type { TlsEngine } from '../tls/tls-engine.js';
import { bucketOf } from '../tls/handshakes.js';
import type { DialContext, ServerConnection, ServerOptions } from './connect-server.js';
import { DialFailure } from './dial-failure.js';
import { type DialFailures, serverText } from './dial-failures.js';
import { dialServer } from './dial-server.js';
import { operatorRights } from './rights-in-guest.js';

/**
 * Of one operator, as at the realm, which counts in each of its replicas. Operators are told apart once they are authenticated:
 * only the server knows before.
 */
const connectionsPerOperator = 16;

interface RelayedOptions extends DialContext {
  readonly server: ServerOptions;
  /** For an attempt, until the server has accepted the connection. */
  readonly timeoutMs: number;
  readonly callers: CallerSettings;
  readonly peers: readonly PeerList[];
  readonly operators: readonly OperatorGrant[] | undefined;
  /** The maximum of connections of operators, and that of attempts to make one. */
  readonly connections: number;
  readonly failures: DialFailures;
  /** Aborts when no more connections are to be made. */
  readonly closing: AbortSignal;
}

/**
 * The connections of operators through the server of a listener: each is dialled by the agent, and has TLS of an operator in it.
 * They do not depend on the connection in which the server asked for them.
 */
export class RelayedConnections {
  readonly #options: RelayedOptions;
  readonly #engine: TlsEngine;
  /** How the connections come, in records. */
  readonly #via: string;
  /** Of operators as the server tells them apart. */
  readonly #attempts: FairSlots;
  /** Of those that are authenticated. Others wait for a handshake, as at `tls://`. */
  readonly #places: FairSlots;
  /** The server chooses when, and a handshake with it costs as much as one of an operator. */
  readonly #rate: TokenBucket;
  /** The connections to the server, each until it closes. */
  readonly #open = new Set<TLSSocket>();

  /** Throws a TlsSettingError if a certificate or CRL of `callers` is not valid. */
  constructor(options: RelayedOptions) {
    const { server, closing, callers, operators } = options;
    this.#options = options;
    this.#attempts = new FairSlots({ total: options.connections });
    this.#places = new FairSlots({ total: options.connections, ofKey: connectionsPerOperator });
    this.#rate = bucketOf(callers.limits.handshakesPerSecond);
    this.#via = `via ${serverText(server.address.host, undefined)}`;
    this.#engine = createCallersEngine({
      ...options,
      via: this.#via,
      rightsOf: operatorRights(operators),
      serve: (stream, caller) => void this.#serve(stream, caller),
    });
    closing.addEventListener('abort', () => this.#engine.close());
  }

  /**
   * Dials the server once more, for an operator. Resolves when the server has accepted the connection; the operator's handshake
   * follows. Rejects with a TtrpcError RESOURCE_EXHAUSTED or a DialFailure.
   *
   * @param operator the server's identifier of the operator; empty if it has none. Only fairness depends on it.
   */
  async open(token: Uint8Array, operator: Uint8Array, signal: AbortSignal): Promise<void> {
    const { server, timeoutMs, connections, failures, closing } = this.#options;
    const crowded = new AbortController();
    const release = this.#attempts.take(Buffer.from(operator).toString('hex'), () => crowded.abort());
    if (release === undefined)
      throw new TtrpcError(
        Code.ResourceExhausted,
        `${connections} connections of operators are being made: the limit connections of the listener`,
      );
    const signals = [signal, closing, crowded.signal];
    try {
      const headers = { 'Kata-Agent-Connection': Buffer.from(token).toString('hex') };
      const request = { protocol: 'kata-agent-relay/1', headers } as const;
      await this.#turn(AbortSignal.any(signals));
      this.#accept(await dialServer(server, request, timeoutMs, signals), operator);
    } catch (error) {
      if (error instanceof DialFailure && !closing.aborted) failures.add(error);
      throw error;
    } finally {
      release();
    }
  }

  /** Waits until the rate allows an attempt. */
  async #turn(signal: AbortSignal): Promise<void> {
    while (!this.#rate.take(performance.now()))
      await sleep(this.#rate.waitMs(performance.now()), undefined, { signal }).catch(() => {
        throw new DialFailure('the attempt was given up', { refused: false });
      });
  }

  #accept({ stream, certificate }: ServerConnection, operator: Uint8Array): void {
    this.#open.add(stream);
    const left = certificate.notAfter - Date.now();
    const cancel = callAtEnd(left, () => this.#expire(stream));
    stream.once('close', () => {
      cancel();
      this.#open.delete(stream);
    });
    // ttRPC has no ping, and an operator may wait for an event for hours.
    stream.setKeepAlive(true, keepAliveMs);
    this.#options.limitUnacknowledged(stream, unacknowledgedMs);
    // They have the address of the server, which alone identifies the operator of a connection before the handshake.
    const isKnown = operator.length > 0;
    const name = isKnown ? `${this.#via} ${Buffer.from(operator).toString('hex')}` : this.#via;
    this.#engine.accept(stream, { name, remote: this.#via, isShared: !isKnown });
  }

  /** Serves an operator. The first call is answered after the connection is recorded. */
  async #serve(stream: TLSSocket, caller: Caller): Promise<void> {
    const { records, serve, log, name, closing } = this.#options;
    const release = this.#places.take(callerKey(caller), () =>
      this.#refuse(stream, caller, 'its slot is given to another operator, which has fewer connections'),
    );
    if (release === undefined) {
      const { connections } = this.#options;
      this.#refuse(
        stream,
        caller,
        `the operator has ${connectionsPerOperator} connections, or all operators have ${connections}, which is the limit`,
      );
      return;
    }
    stream.once('close', release);
    try {
      await recordUntilClosed(
        records,
        stream,
        caller,
        'an operator, by TLS inside a connection to the server',
      );
    } catch (error) {
      log('error', 'closed the connection of an operator: it cannot be recorded', {
        listener: name,
        peer: caller.peer,
        error: (error as Error).message,
      });
      return;
    }
    if (closing.aborted) stream.destroy();
    if (!stream.destroyed) serve(stream, caller);
  }

  #refuse(stream: TLSSocket, { peer }: Caller, why: string): void {
    const { log, name, audit } = this.#options;
    recordConnectionRefusal(audit, { listener: name, peer }, 'KA3203', why);
    log('warn', 'closed a connection of an operator', { code: 'KA3203', listener: name, peer, why });
    stream.destroy();
  }

  #expire(stream: TLSSocket): void {
    this.#options.log(
      'info',
      'closed a connection of an operator: the certificate of the server has expired',
      {
        listener: this.#options.name,
      },
    );
    stream.destroy();
  }
}
