import type { ApiSettings, Configuration } from '../configuration.js';
import type {
  DialSettings,
  HandshakeLimits,
  ListenerLimits,
  ListenerSettings,
  OperatorGrant,
  PeerList,
  RelaySettings,
  TlsSettings,
} from '../listener.js';

/** A listener, with what it has of its own. */
export interface ExplainedListener {
  readonly name: string;
  /** `https://` alone if it is awaited. */
  readonly address: string;
  /** Empty at an `https://` address whose server is trusted, and if they are awaited. */
  readonly peers: PeerList;
  /** Peer lists of further documents; a peer must match each of them too. */
  readonly alsoPeers?: readonly PeerList[];
  /** Absent: as in `[api]`. */
  readonly onDeniedRead?: ApiSettings['onDeniedRead'];
  /** Absent: as in `[limits]`. */
  readonly limits?: ListenerLimits;
  /** Absent: it serves no method of the management service. */
  readonly management?: ListenerSettings['management'];
  /** At a `tls://` address: whether there is a CRL, whose key the agent has, and the limits of handshakes. */
  readonly tls?: {
    readonly crl: boolean;
    readonly key: 'made at boot' | 'static';
    readonly limits: HandshakeLimits;
  };
  /** At an `https://` address: how the server is reached and verified, and what it can do. */
  readonly dial?: Pick<DialSettings, 'pins' | 'handshakeTimeoutMs' | 'proxy'> & ExplainedRelay;
  /** By `may_set`: what a delivered document has set, and where. */
  readonly delivered?: ListenerSettings['delivered'];
  /** By `may_set`: what a delivered document sets in the guest. */
  readonly awaited?: ListenerSettings['awaited'];
}

/** How operators call through a server; with operator-tls how they are verified. */
type ExplainedRelay =
  | { readonly relay: 'trusted' }
  | {
      readonly relay: 'operator-tls';
      readonly crl: boolean;
      readonly limits: HandshakeLimits;
      /** Absent: no operator may call a method of the management service. */
      readonly operators?: readonly OperatorGrant[];
    };

export function explainListeners({
  listeners,
  api,
  limits: general,
}: Pick<Configuration, 'listeners' | 'api' | 'limits'>): readonly ExplainedListener[] {
  return listeners.map((listener) => {
    const {
      name,
      address,
      peers: [peers = [], ...alsoPeers],
      onDeniedRead,
      limits,
      management,
      tls,
      dial,
      delivered,
      awaited,
    } = listener;
    return {
      name,
      address,
      peers,
      ...(alsoPeers.length === 0 ? {} : { alsoPeers }),
      ...(onDeniedRead === api.onDeniedRead ? {} : { onDeniedRead }),
      ...(dial?.relay.kind === 'trusted' || limits.connections === general.connections ? {} : { limits }),
      ...(management.length === 0 ? {} : { management }),
      ...(tls === undefined ? {} : { tls: explainTls(tls) }),
      ...(dial === undefined ? {} : { dial: explainDial(dial) }),
      ...(delivered === undefined ? {} : { delivered }),
      ...(awaited === undefined ? {} : { awaited }),
    };
  });
}

function explainTls({ clientCrl, staticIdentity, limits }: TlsSettings): ExplainedListener['tls'] & object {
  return {
    crl: clientCrl !== undefined,
    key: staticIdentity === undefined ? 'made at boot' : 'static',
    limits,
  };
}

function explainDial({
  pins,
  relay,
  handshakeTimeoutMs,
  proxy,
}: DialSettings): ExplainedListener['dial'] & object {
  return { pins, handshakeTimeoutMs, ...(proxy === undefined ? {} : { proxy }), ...explainRelay(relay) };
}

function explainRelay(relay: RelaySettings): ExplainedRelay {
  if (relay.kind === 'trusted') return { relay: relay.kind };
  const { clientCrl, limits } = relay.callers;
  const { operators } = relay;
  return {
    relay: relay.kind,
    crl: clientCrl !== undefined,
    limits,
    ...(operators === undefined ? {} : { operators }),
  };
}
