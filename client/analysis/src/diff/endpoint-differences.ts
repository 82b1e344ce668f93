import { methodNames } from '@kata-agent/catalogue';
import type { Gate } from '@kata-agent/gate';
import type { Difference } from './difference.js';
import type { ListenerPair } from './pair-listeners.js';

/** Returns the methods that a listener serves in only one of the configurations. */
export function endpointDifferences(
  pairs: readonly ListenerPair[],
  before: Gate,
  after: Gate,
): readonly Difference[] {
  return pairs.flatMap((pair) => {
    const old = pair.before?.name;
    const name = pair.after?.name ?? pair.before?.name ?? '';
    return methodNames.flatMap((method): readonly Difference[] => {
      const was = old === undefined ? undefined : before.decide(old, method);
      const is = pair.after === undefined ? undefined : after.decide(name, method);
      const served = is?.outcome === 'allow';
      if ((was?.outcome === 'allow') === served) return [];
      return [
        {
          effect: served ? 'opens' : 'closes',
          about: 'endpoint',
          name: method,
          listener: name,
          ...(was === undefined ? {} : { before: `${verb(was.outcome)}: ${was.reason}` }),
          ...(is === undefined ? {} : { after: `${verb(is.outcome)}: ${is.reason}` }),
          why: served ? 'served now' : 'no longer served',
        },
      ];
    });
  });
}

function verb(outcome: 'allow' | 'deny'): string {
  return outcome === 'allow' ? 'served' : 'not served';
}
