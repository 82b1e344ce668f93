import type { Claims } from '../claims/claims.js';
import { parseAgentEvent } from '../events/agent-event.js';
import type { LoggedEvent } from '../events/logged-event.js';
import { failed, type Link, ok } from '../link.js';

/**
 * Compares what the agent measured at its start with the claims. `register` is the one that the configuration names: in another,
 * anybody who is root in the guest can make events of this form. Only events before the first separator are believed: since
 * then containers can have run, and one that has become root in the guest can extend registers as well.
 */
export function verifyMeasuredEvents(
  kind: 'tpm' | 'tdx',
  agent: readonly LoggedEvent[],
  { configDigest, tlsSpki, logKey, bootId }: Claims,
  register: number,
): readonly Link[] {
  const [configuration, keys] = [`${kind}.configuration`, `${kind}.keys`] as const;
  const events = agent.map(({ data }) => parseAgentEvent(data));
  const end = events.findIndex(({ kind }) => kind === 'separator');
  const separator = events[end];
  const other = agent.find((one) => one.register !== register);
  const fault =
    end < 0
      ? 'there is no separator, so no event is believed'
      : other !== undefined
        ? `the agent's log has an event in register ${other.register}, and its register is ${register}`
        : separator?.kind === 'separator' && separator.bootId !== bootId
          ? `the separator is of the boot ${separator.bootId}, and the claims are of ${bootId}`
          : events.slice(0, end).some(({ kind }) => kind === 'unknown')
            ? 'an event before the separator is not of the agent'
            : undefined;
  if (fault !== undefined) return [failed(configuration, fault), failed(keys, fault)];
  const believed = events.slice(0, end);
  const later = events.length - end - 1;
  const configurations = believed.flatMap((one) => (one.kind === 'configuration' ? [one.digest] : []));
  const measured = believed.some(
    (one) => one.kind === 'keys' && one.tlsSpki === tlsSpki && one.logKey === logKey,
  );
  return [
    configurations.length === 1 && configurations[0] === `sha256:${configDigest}`
      ? ok(configuration, 'the digest of the configuration was measured before the separator')
      : failed(
          configuration,
          `measured before the separator: ${configurations.join(', ') || 'no configuration'}; claimed: sha256:${configDigest}`,
        ),
    measured
      ? ok(
          keys,
          `the TLS key and the log key were measured before the separator${later === 0 ? '' : `; ${later} later events are not believed`}`,
        )
      : failed(
          keys,
          'the TLS key and the log key were not measured before the separator: the agent was started again in this boot, or they are of another program; start the guest again',
        ),
  ];
}
