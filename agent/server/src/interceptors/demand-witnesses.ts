import { endpoints, type MethodName } from '@kata-agent/catalogue';
import type { ListenerSettings } from '@kata-agent/config';
import type { Witnesses } from '../witnesses/witnesses.js';

/** Reports whether a call is refused because witnesses are away (`[audit] required_within`). */
export type LacksWitnesses = (listener: string, method: MethodName) => boolean;

/**
 * Returns a function that reports whether a call requires witnesses: those that change something on the host's listener, as while
 * the log cannot be written (S19).
 * The host calls on the first listener, that of the runtime, and controls who connects to vsock and unix sockets. What ends
 * something is served.
 */
export function demandWitnesses(
  listeners: readonly Pick<ListenerSettings, 'name' | 'tls' | 'dial'>[],
  witnesses: Pick<Witnesses, 'isOverdue'> | undefined,
): LacksWitnesses {
  if (witnesses === undefined) return () => false;
  const ofHost = new Set(
    listeners
      .filter(({ tls, dial }, index) => index === 0 || (tls === undefined && dial === undefined))
      .map(({ name }) => name),
  );
  return (listener, method) => {
    const { changes, ends = false } = endpoints[method];
    return changes && !ends && ofHost.has(listener) && witnesses.isOverdue();
  };
}
