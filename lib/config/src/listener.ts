import type { ManagementMethod, OperatorVerb } from '@kata-agent/catalogue';
import type { SettableKey } from './value-types/may-set.js';

/** The stronger one: the weaker one must be written. */
export const defaultRelay: Relay = 'operator-tls';

/** A listener that the agent opens. */
export interface ListenerSettings {
  /** `server_addr` when no document has a `[[listener]]`. */
  readonly name: string;
  /** `https://` alone if it is awaited. */
  readonly address: string;
  /**
   * At least one list; a peer must match each of them. None at an `https://` address with a trusted relay, where `dial`
   * names the peer, and where they are awaited.
   */
  readonly peers: readonly PeerList[];
  /** The answer to a denied read of output, if no rule has its own. */
  readonly onDeniedRead: 'error' | 'eof';
  readonly limits: ListenerLimits;
  /** The methods of the management service that it serves; with relay = "operator-tls" to the server, not to operators. */
  readonly management: readonly ManagementMethod[];
  /** At a `tls://` address. */
  readonly tls?: TlsSettings;
  /** At an `https://` address. */
  readonly dial?: DialSettings;
  /** What a delivered document has set by `may_set`, and where: `initdata (/dev/vdb) kata-agent.toml:3`. */
  readonly delivered?: Readonly<Partial<Record<SettableKey, string>>>;
  /** What a delivered document sets in the guest. Only on another machine, where no agent runs. */
  readonly awaited?: readonly SettableKey[];
}

/**
 * Peers that may connect, as one document lists them: `host` (CID 2 on vsock; root on a unix socket), `any`, `cid:N`,
 * `uid:N`.
 */
export type PeerList = readonly string[];

/** The limits of one listener. */
export interface ListenerLimits {
  /**
   * Open connections; further ones are closed at once. At an `https://` address those of operators, with the attempts to
   * make one; with a trusted relay there are none, and the limit is 1.
   */
  readonly connections: number;
}

/** The limits of TLS before callers are authenticated. Others wait; too many are closed. */
export interface HandshakeLimits {
  /** At a time. */
  readonly handshakes: number;
  readonly handshakesPerSecond: number;
  readonly handshakeTimeoutMs: number;
}

/** How callers over TLS are verified. All are PEM texts. */
export interface CallerSettings {
  readonly clientCa: string;
  readonly clientCrl?: string;
  readonly limits: HandshakeLimits;
}

/** How callers of a `tls://` listener are verified, and how the agent authenticates itself. */
export interface TlsSettings extends CallerSettings {
  /** Absent: the agent makes a key at boot (S26). PEM texts. */
  readonly staticIdentity?: { readonly certificate: string; readonly key: string };
}

/** How the server of an `https://` address is verified, and what it may do. */
export interface DialSettings {
  /** PEM text. */
  readonly serverCa: string;
  /** `spki:sha256:HEX`: the server's key has one of them. None: CA and name decide. */
  readonly pins: readonly string[];
  readonly relay: RelaySettings;
  /** From the first packet until the server has accepted the connection. */
  readonly handshakeTimeoutMs: number;
  /** `http://HOST:PORT`. Absent: the server is dialled directly. */
  readonly proxy?: string;
}

/**
 * How operators call through a server.
 * - `trusted`: the server makes their calls, and is believed with each of them.
 * - `operator-tls`: operators connect through the server by TLS of their own, and are verified as callers of `tls://` are.
 */
export type RelaySettings =
  | { readonly kind: 'trusted' }
  | {
      readonly kind: 'operator-tls';
      readonly callers: CallerSettings;
      /** Absent: operators call methods of AgentService alone, as lists and rules allow them. */
      readonly operators?: readonly OperatorGrant[];
    };

/** What operators may do whose certificates match one of `peers`. An operator may do what one of its grants allows. */
export interface OperatorGrant {
  readonly peers: PeerList;
  readonly verbs: readonly OperatorVerb[];
}

/** A file that the base document names. Its bytes are part of the configuration. */
export interface NamedFile {
  /** The path of the key that names it: `listener.tenant.tls.client_ca`. */
  readonly key: string;
  readonly file: string;
  /** SHA-256 of its bytes; lower-case hex. */
  readonly sha256: string;
}

/** How calls of operators come through the server of an `https://` address. */
export type Relay = 'operator-tls' | 'trusted';
