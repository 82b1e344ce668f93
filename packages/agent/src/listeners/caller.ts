import type { RulePeer } from '@kata-agent/gate';

/** A connection's listener and peer. */
export interface Caller {
  /** The listener's name in the configuration. */
  readonly listener: string;
  /** The peer in audit records: `pid 812 uid 0` on a unix socket, `cid 2` on vsock. */
  readonly peer: string;
  /** The peer in rules. */
  readonly identity: RulePeer;
}
