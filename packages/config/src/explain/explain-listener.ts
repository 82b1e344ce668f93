import type {
  ApiSettings,
  Configuration,
  ListenerLimits,
  ListenerSettings,
  PeerList,
} from '../configuration.js';

/** A listener, with what it has of its own. */
export interface ExplainedListener {
  readonly name: string;
  readonly address: string;
  readonly peers: PeerList;
  /** Peer lists of further documents; a peer must match each of them too. */
  readonly alsoPeers?: readonly PeerList[];
  /** Absent: as in `[api]`. */
  readonly onDeniedRead?: ApiSettings['onDeniedRead'];
  /** Absent: as in `[limits]`. */
  readonly limits?: ListenerLimits;
  /** Absent: it serves no method of the management service. */
  readonly management?: ListenerSettings['management'];
}

export function explainListeners({
  listeners,
  api,
  limits: general,
}: Pick<Configuration, 'listeners' | 'api' | 'limits'>): readonly ExplainedListener[] {
  return listeners.map(
    ({ name, address, peers: [peers = [], ...alsoPeers], onDeniedRead, limits, management }) => ({
      name,
      address,
      peers,
      ...(alsoPeers.length === 0 ? {} : { alsoPeers }),
      ...(onDeniedRead === api.onDeniedRead ? {} : { onDeniedRead }),
      ...(limits.connections === general.connections ? {} : { limits }),
      ...(management.length === 0 ? {} : { management }),
    }),
  );
}
