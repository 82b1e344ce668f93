import type { PeerFacts } from '@kata-agent/gate';

/** What is known of a connection: which listener took it, and who is at its other end. */
export interface Caller {
  /** The listener's name in the configuration. */
  readonly listener: string;
  /** The other end as the record names it: `pid 812 uid 0` on a unix socket, `cid 2` on vsock. */
  readonly peer: string;
  /** The other end as rules see it. */
  readonly identity: PeerFacts;
}
