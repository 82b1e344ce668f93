import { onDoublingsOfEach } from '@kata-agent/base';
import type { DecisionLog } from '../operators/decision-log.js';
import type { RealmLog } from '../log/realm-log.js';

/** Returns a function that records refused connections, and logs the first, second, fourth … of each address. */
export function reportRefusals(
  listener: 'guests' | 'operators',
  decisions: DecisionLog,
  log: RealmLog,
): (peer: string, why: string) => void {
  const code = listener === 'guests' ? 'KA3301' : 'KA3302';
  const report = onDoublingsOfEach<string>((peer, times, why) =>
    log('warn', 'closed a connection before it was served', { code, listener, peer, why, times }),
  );
  return (peer, why) => {
    decisions.refuse(listener, peer, code, why);
    report(peer, why);
  };
}
