import { type DialAddress, type DialSettings, proxyAddress } from '@kata-agent/config';
import { readCas } from '../tls/client-ca.js';
import { serverContext, type ServerOptions } from './connect-server.js';
import type { DialContext } from './dial-context.js';

/** Returns how the server of a listener is reached and authenticated. Throws a TlsSettingError if `server_ca` is not valid. */
export function dialledServer(
  address: DialAddress,
  dial: Pick<DialSettings, 'serverCa' | 'pins' | 'proxy'>,
  { own }: Pick<DialContext, 'own'>,
): ServerOptions {
  const proxy = dial.proxy === undefined ? undefined : proxyAddress(dial.proxy);
  return {
    address,
    ...(proxy === undefined ? {} : { proxy }),
    context: serverContext(readCas('server_ca', [dial.serverCa]), own),
    pins: dial.pins,
    now: Date.now,
  };
}
