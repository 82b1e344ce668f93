import type { IncomingMessage } from 'node:http';
import type { Relay } from '../guest.js';

/** What a guest asks for by HTTP Upgrade, or the status that refuses it. */
export type UpgradeRequest =
  | { readonly kind: 'control'; readonly relay: Relay }
  /** 64 hex digits. */
  | { readonly kind: 'relay'; readonly token: string }
  | { readonly kind: 'refused'; readonly status: number; readonly why: string };

/** The protocol of a control connection: ttRPC, of which the guest is the server. */
export const controlProtocol = 'kata-agent-ttrpc/1';
/** The protocol of a connection for one operator: TLS, of which the guest is the server. */
export const relayProtocol = 'kata-agent-relay/1';

/** Parses the head of a request. */
export function upgradeRequest({
  method,
  headers,
}: Pick<IncomingMessage, 'method' | 'headers'>): UpgradeRequest {
  if (method !== 'GET') return refused(405, 'the method is not GET');
  if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined)
    return refused(400, 'the request has a body');
  if (headers.upgrade === controlProtocol) {
    const relay = headers['kata-agent-relay'];
    if (relay === 'operator-tls' || relay === 'trusted') return { kind: 'control', relay };
    return refused(400, 'Kata-Agent-Relay is neither operator-tls nor trusted');
  }
  if (headers.upgrade !== relayProtocol) return refused(400, 'Upgrade names another protocol');
  const token = headers['kata-agent-connection'];
  if (typeof token !== 'string' || !/^[0-9a-f]{64}$/.test(token))
    return refused(404, 'Kata-Agent-Connection has no token of this realm');
  return { kind: 'relay', token };
}

function refused(status: number, why: string): UpgradeRequest {
  return { kind: 'refused', status, why };
}
