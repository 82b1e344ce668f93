import type { Configuration } from '@kata-agent/config';
import type { TlsListeners } from './tls/tls-listeners.js';

/**
 * Loads TLS and makes the agent's key, if the configuration has a `tls://` or `https://` listener: both cost time and memory.
 * The certificate is valid from the floor of the clock on, in milliseconds since 1970; without a document there is neither a
 * floor nor such a listener.
 */
export async function loadTls(
  { listeners }: Pick<Configuration, 'listeners'>,
  clockFloor: number | undefined,
): Promise<TlsListeners | undefined> {
  if (clockFloor === undefined) return undefined;
  if (listeners.every(({ tls, dial }) => tls === undefined && dial === undefined)) return undefined;
  const { TlsListeners } = await import('./tls/tls-listeners.js');
  return TlsListeners.create(clockFloor);
}
