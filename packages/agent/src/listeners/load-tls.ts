import type { Configuration } from '@kata-agent/config';
import type { TlsListeners } from './tls/tls-listeners.js';

/** Loads TLS and makes the agent's key, if the configuration has a `tls://` listener: both cost time and memory. */
export async function loadTls({
  listeners,
}: Pick<Configuration, 'listeners'>): Promise<TlsListeners | undefined> {
  if (!listeners.some(({ tls }) => tls !== undefined)) return undefined;
  const { TlsListeners } = await import('./tls/tls-listeners.js');
  return TlsListeners.create();
}
