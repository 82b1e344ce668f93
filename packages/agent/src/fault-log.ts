import type { AuditLog } from '@kata-agent/audit';
import type { Decision } from '@kata-agent/gate';
import type { Fault } from '@kata-agent/ttrpc';
import type { Caller } from './listeners/caller.js';
import type { Log } from './log.js';

/**
 * Takes note of what the server reports. Code of ours that failed is an error with its stack, each time. A peer that broke
 * the protocol is a warning, told at the first, second, fourth … time, so that a peer that goes on cannot fill the log. A
 * request that the gate let through but that is malformed or over a limit never reaches the interceptor that records calls,
 * so it is recorded here, as a refusal; the report does not have its bytes, so the record has no digest of them.
 */
export function faultLog(log: Log, audit: Pick<AuditLog, 'refuse'>): (fault: Fault<Caller>) => void {
  let violations = 0;
  return ({ kind, message, connection, service, method, error }) => {
    const where = { kind, listener: connection.listener, peer: connection.peer, service, method };
    if (kind === 'request' && method !== undefined) {
      const decision: Decision = { outcome: 'deny', method, listener: connection.listener, reason: message };
      const { listener, peer } = connection;
      audit.refuse({ listener, peer, method, payload: new Uint8Array() }, decision);
      return;
    }
    if (kind !== 'protocol') {
      log('error', message, { ...where, stack: error instanceof Error ? error.stack : String(error) });
      return;
    }
    violations += 1;
    if (Number.isInteger(Math.log2(violations))) log('warn', message, { ...where, violations });
  };
}
