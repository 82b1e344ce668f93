import { type Configuration, dialAddress, type WitnessSettings } from '@kata-agent/config';
import { serverContext, type ServerOptions } from '../listeners/dial/connect-server.js';
import { readCas, TlsSettingError } from '../listeners/tls/client-ca.js';
import type { TlsListeners } from '../listeners/tls/tls-listeners.js';
import { CannotApply } from '../cannot-apply.js';

/**
 * Returns where a witness is asked, and how its server is authenticated.
 *
 * @throws CannotApply if the CA of its server is not valid.
 */
export function witnessServer(
  { name, via }: WitnessSettings,
  { listeners }: Pick<Configuration, 'listeners'>,
  tls: TlsListeners | undefined,
): ServerOptions {
  if (via.kind === 'url') return serverAt(name, via.url, via.ca);
  const listener = listeners.find((each) => each.name === via.name);
  if (listener === undefined || tls === undefined) throw new TypeError(`no listener ${via.name} dials`);
  return tls.dialledServer(listener);
}

function serverAt(name: string, url: string, ca: string): ServerOptions {
  const address = dialAddress(url);
  if (address === undefined) throw new TypeError(`${url} is not an https:// address`);
  try {
    return {
      address,
      context: serverContext(readCas('ca', [ca])),
      pins: [],
      now: Date.now,
    };
  } catch (error) {
    if (!(error instanceof TlsSettingError)) throw error;
    throw new CannotApply(`witness ${name}: ${error.message}`, { cause: error, help: error.help });
  }
}
