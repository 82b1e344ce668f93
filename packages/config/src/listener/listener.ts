import type { ManagementMethod } from '@kata-agent/catalogue';

/** A listener that the agent opens. */
export interface ListenerSettings {
  /** `server_addr` when no document has a `[[listener]]`. */
  readonly name: string;
  readonly address: string;
  /** At least one list; a peer must match each of them. None at an `https://` address, where `dial` names the peer. */
  readonly peers: readonly PeerList[];
  /** The answer to a denied read of output, if no rule has its own. */
  readonly onDeniedRead: 'error' | 'eof';
  readonly limits: ListenerLimits;
  /** The methods of the management service that it serves. */
  readonly management: readonly ManagementMethod[];
  /** At a `tls://` address. */
  readonly tls?: TlsSettings;
  /** At an `https://` address. */
  readonly dial?: DialSettings;
}

/**
 * Peers that may connect, as one document lists them: `host` (CID 2 on vsock; root on a unix socket), `any`, `cid:N`,
 * `uid:N`.
 */
export type PeerList = readonly string[];

/** The limits of one listener. */
export interface ListenerLimits {
  /** Open connections; further ones are closed at once. */
  readonly connections: number;
}

/** The limits of a `tls://` listener before callers are authenticated. Others wait; too many are closed. */
export interface HandshakeLimits {
  /** At a time. */
  readonly handshakes: number;
  readonly handshakesPerSecond: number;
  readonly handshakeTimeoutMs: number;
}

/** How callers of a `tls://` listener are verified. All are PEM texts. */
export interface TlsSettings {
  readonly clientCa: string;
  readonly clientCrl?: string;
  readonly limits: HandshakeLimits;
  /** Absent: the agent makes a key at boot (S26). */
  readonly staticIdentity?: { readonly certificate: string; readonly key: string };
}

/** How the server of an `https://` address is verified, and what it may do. */
export interface DialSettings {
  /** PEM text. */
  readonly serverCa: string;
  /** `spki:sha256:HEX`: the server's key has one of them. None: CA and name decide. */
  readonly pins: readonly string[];
  /** `trusted`: the server is believed with each call, and the guest does not see for whom it makes it. */
  readonly relay: 'trusted';
  /** From the first packet until the server has accepted the connection. */
  readonly handshakeTimeoutMs: number;
}

/** A file that the base document names. Its bytes are part of the configuration. */
export interface NamedFile {
  /** The path of the key that names it: `listener.tenant.tls.client_ca`. */
  readonly key: string;
  readonly file: string;
  /** SHA-256 of its bytes; lower-case hex. */
  readonly sha256: string;
}
