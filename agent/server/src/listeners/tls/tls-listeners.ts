import { createServer, type Server } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { onDoublings } from '@kata-agent/base';
import { Turns } from '@kata-agent/connection-limits';
import { FairSlots } from '@kata-agent/connection-limits/fair';
import { dialAddress, type ListenerSettings, type TlsSettings, tlsAddress } from '@kata-agent/config';
import { CannotApply } from '../../cannot-apply.js';
import { type Caller, callerKey } from '../../caller.js';
import type { Listener, ListenerOptions } from '../listen.js';
import { dialledServer, type ServerOptions } from '../dial/connect-server.js';
import type { DialOut, DialOutOptions } from '../dial/dial-out.js';
import { createCallersEngine } from './callers-engine.js';
import { TlsSettingError } from './client-ca.js';
import { makeOwnIdentity, type OwnIdentity } from './tls-identity.js';
import { Revocations } from './revocations.js';
import type { TlsEngine } from './tls-engine.js';

/** Options of a `tls://` listener. */
type TlsListenerOptions = Omit<ListenerOptions, 'syscalls'> & { readonly tls: TlsSettings };

/** Opens the `tls://` and `https://` listeners of an agent, which have one key and one list of revocations. */
export class TlsListeners {
  /** SPKI pin of the agent's key, `spki:sha256:HEX`; recorded before a listener opens (S26). */
  readonly pin: string;
  /** SHA-256 of its public key, in hex: the end of the pin. */
  readonly spki: string;
  readonly revocations: Revocations = new Revocations();
  readonly #own: OwnIdentity;
  readonly #turns = new Turns();

  private constructor(own: OwnIdentity) {
    this.#own = own;
    this.pin = own.pin;
    this.spki = own.pin.replace(/^.*:/, '');
  }

  /** Makes the agent's key, in memory. Its certificate is valid from the floor of the clock on, in ms since 1970. */
  static async create(clockFloor: number): Promise<TlsListeners> {
    return new TlsListeners(await makeOwnIdentity({ clockFloor }));
  }

  /**
   * Opens a listener.
   *
   * @throws CannotApply if the address is not available, or if a certificate or CRL is not valid.
   */
  async listen(options: TlsListenerOptions): Promise<Listener> {
    const { name, address, log } = options;
    const place = tlsAddress(address);
    if (place === undefined) throw new TypeError(`${address} is not a tls:// address`);
    const engine = this.#engine(options);
    const server = createServer({ pauseOnConnect: true }, (socket) => engine.accept(socket));
    try {
      await opened(server, place);
    } catch (error) {
      throw new CannotApply(`listener ${name} at ${address}: ${(error as Error).message}`, { cause: error });
    }
    server.on('error', (error) => log('error', 'listener', { listener: name, error: error.message }));
    return {
      close: async () => {
        server.close();
        engine.close();
      },
    };
  }

  /**
   * Returns a listener that dials its server once it is started.
   *
   * @throws CannotApply if `server_ca`, or `client_ca` or `client_crl` of the operators, is not valid.
   */
  async dial(options: Omit<DialOutOptions, 'own' | 'revocations' | 'turns'>): Promise<DialOut> {
    const { DialOut } = await import('../dial/dial-out.js');
    return applied(
      options.name,
      () => new DialOut({ ...options, own: this.#own, revocations: this.revocations, turns: this.#turns }),
    );
  }

  /**
   * Returns how the server of a listener is reached and authenticated, for another connection to it.
   *
   * @throws CannotApply if `server_ca` is not valid.
   */
  dialledServer({ name, address, dial }: Pick<ListenerSettings, 'name' | 'address' | 'dial'>): ServerOptions {
    const place = dialAddress(address);
    if (place === undefined || dial === undefined)
      throw new TypeError(`the listener ${name} dials no server`);
    return applied(name, () => dialledServer(place, dial, { own: this.#own }));
  }

  #engine(options: TlsListenerOptions): TlsEngine {
    const { name, peers, tls, log, audit } = options;
    return applied(name, () =>
      createCallersEngine({
        name,
        peers,
        callers: tls,
        own: tls.staticIdentity ?? this.#own,
        revocations: this.revocations,
        turns: this.#turns,
        log,
        audit,
        serve: servePeers(options),
      }),
    );
  }
}

/** Returns the result of `make`. Throws CannotApply if a certificate or CRL of the listener is not valid. */
function applied<T>(listener: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof TlsSettingError)) throw error;
    throw new CannotApply(`listener ${listener}: ${error.message}`, { cause: error, help: error.help });
  }
}

/** Serves callers within the limit of connections: one that has many loses one to another that has fewer (S44). */
function servePeers(options: TlsListenerOptions): (stream: TLSSocket, caller: Caller) => void {
  const { name, limits, log, serve } = options;
  const places = new FairSlots({ total: limits.connections });
  const report = onDoublings((turnedAway) =>
    log('warn', 'connections over the limit closed', {
      listener: name,
      limit: limits.connections,
      turnedAway,
    }),
  );
  return (stream, caller) => {
    const close = (): void => {
      report();
      stream.destroy();
    };
    const release = places.take(callerKey(caller), close);
    if (release === undefined) {
      close();
      return;
    }
    stream.once('close', release);
    serve(stream, caller);
  };
}

function opened(server: Server, place: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...place, exclusive: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
