import type { AuditLog } from '@kata-agent/audit';
import type { Decision } from '@kata-agent/gate';
import type { Fault } from '@kata-agent/ttrpc';
import type { Caller } from '../caller.js';
import type { Log } from '../log.js';

/**
 * Logs what the server reports. A failure in our code is an error with its stack, each time. A protocol violation is a
 * warning, logged at the first, second, fourth … time at a listener, so that a peer can neither fill the log nor silence
 * what happens at another listener. A request that the gate
 * allowed but that is malformed or over a limit never reaches the interceptor that records calls: it is recorded here,
 * as a denial, without a digest, since its bytes are not available.
 */
export function faultLog(log: Log, audit: Pick<AuditLog, 'refuse'>): (fault: Fault<Caller>) => void {
  const counts = new Map<string, number>();
  return ({ kind, message, connection, service, method, error }) => {
    const where = { kind, listener: connection.listener, peer: connection.peer, service, method };
    if (kind === 'request' && method !== undefined) {
      const decision: Decision = {
        outcome: 'deny',
        code: 'KA3201',
        method,
        listener: connection.listener,
        reason: message,
      };
      const { listener, peer } = connection;
      audit.refuse({ listener, peer, method, payload: new Uint8Array() }, decision);
      return;
    }
    if (kind !== 'protocol') {
      log('error', message, { ...where, stack: error instanceof Error ? error.stack : String(error) });
      return;
    }
    const violations = (counts.get(connection.listener) ?? 0) + 1;
    counts.set(connection.listener, violations);
    if (Number.isInteger(Math.log2(violations))) log('warn', message, { ...where, violations });
  };
}
