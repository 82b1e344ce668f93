import { isIPv6 } from 'node:net';
import type { DialAddress } from '@kata-agent/config';

/** Returns the header Host of a request to an `https://` address. */
export function hostHeader({ host, port }: DialAddress): string {
  const name = isIPv6(host) ? `[${host}]` : host;
  return port === 443 ? name : `${name}:${port}`;
}
