import type { AuditLog } from '@kata-agent/audit';
import type { Decision } from '@kata-agent/gate';
import type { Fault } from '@kata-agent/ttrpc';
import type { Caller } from '../listeners/caller.js';
import type { Log } from './log.js';

/**
 * Logs what the server reports. A failure in our code is an error with its stack, each time. A protocol violation is a
 * warning, logged at the first, second, fourth … time, so that a peer cannot fill the log. A request that the gate
 * allowed but that is malformed or over a limit never reaches the interceptor that records calls: it is recorded here,
 * as a denial, without a digest, since its bytes are not available.
 */
export function faultLog(log: Log, audit: Pick<AuditLog, 'refuse'>): (fault: Fault<Caller>) => void {
  let violations = 0;
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
    violations += 1;
    if (Number.isInteger(Math.log2(violations))) log('warn', message, { ...where, violations });
  };
}
