import type { Socket } from 'node:net';
import type { Agent } from './agent.js';

/** A connection to an agent. */
export interface AgentConnection {
  readonly agent: Agent;
  readonly socket: Socket;
  /** The other end of the connection's TLS is the agent itself, and not a realm. */
  readonly direct: boolean;
  /** SHA-256 of the public key of the other end, in hex, with `direct`. */
  readonly spki: string | undefined;
}
