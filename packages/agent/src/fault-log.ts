import type { Fault } from '@kata-agent/ttrpc';
import type { Caller } from './listeners/caller.js';
import type { Log } from './log.js';

/**
 * Logs what the server reports. Code of ours that failed is an error with its stack, each time. A peer that broke the
 * protocol is a warning, told at the first, second, fourth … time, so that a peer that goes on cannot fill the log.
 */
export function faultLog(log: Log): (fault: Fault<Caller>) => void {
  let violations = 0;
  return ({ kind, message, connection, service, method, error }) => {
    const where = { kind, listener: connection.listener, peer: connection.peer, service, method };
    if (kind !== 'protocol') {
      log('error', message, { ...where, stack: error instanceof Error ? error.stack : String(error) });
      return;
    }
    violations += 1;
    if (Number.isInteger(Math.log2(violations))) log('warn', message, { ...where, violations });
  };
}
