import { TLSSocket } from 'node:tls';
import { Management } from '@kata-agent/protocol/management';
import type { AgentConnection } from './agent-connection.js';

/** Evidence of the agent at the other end of a connection, and what this end knows of the connection. */
export interface ConnectionEvidence {
  readonly bundle: Uint8Array;
  /** The channel that the claims must have. Undefined: the connection is not TLS with the agent, and this end cannot tell. */
  readonly channel: string | undefined;
  /** SHA-256 of the public key of the other end, in hex. Undefined: the same. */
  readonly tlsSpki: string | undefined;
}

/** Calls Attest in a connection. Rejects with a CallError. */
export async function attestConnection(
  { agent, socket, direct, spki }: AgentConnection,
  nonce: Uint8Array,
  timeoutMs?: number,
): Promise<ConnectionEvidence> {
  const { bundle } = await agent.call(
    Management.method.attest,
    { nonce },
    timeoutMs === undefined ? {} : { timeoutMs },
  );
  if (!direct || !(socket instanceof TLSSocket)) return { bundle, channel: undefined, tlsSpki: undefined };
  const exporter = socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0));
  return { bundle, channel: `tls-exporter:${exporter.toString('hex')}`, tlsSpki: spki };
}
