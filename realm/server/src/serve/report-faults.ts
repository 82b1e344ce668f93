import { onDoublingsOfEach } from '@kata-agent/base';
import type { LogFault } from '../store/log-note.js';
import type { Metrics } from '../metrics/metrics.js';
import type { RealmLog } from '../log/realm-log.js';

/** Returns a function that counts the faults of logs, and logs the first, second, fourth … of each guest and kind. */
export function reportFaults(log: RealmLog, metrics: Metrics): (id: string, fault: LogFault) => void {
  const report = onDoublingsOfEach<{ readonly id: string; readonly fault: LogFault }>(
    (_key, times, { id, fault }) =>
      log('error', 'ALERT: the audit log of a guest is not intact', {
        id,
        fault: fault.kind,
        what: fault.what,
        times,
      }),
  );
  return (id, fault) => {
    metrics.add('kata_realm_log_faults_total', 1, { kind: fault.kind });
    report(`${id} ${fault.kind}`, { id, fault });
  };
}
