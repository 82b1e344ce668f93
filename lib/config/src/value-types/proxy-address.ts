import { type DialAddress, dialAddress } from './dial-address.js';
import { text } from './text.js';
import type { ValueType } from './value-type.js';

/** Where a proxy listens. */
export type ProxyAddress = Pick<DialAddress, 'host' | 'port'>;

/** Returns the parts of a proxy's address; undefined for any other text. It has a port, and neither a user nor a path. */
export function proxyAddress(text: string): ProxyAddress | undefined {
  const place = /^http:\/\/([^/]+:\d+)$/.exec(text)?.[1];
  const address = place === undefined ? undefined : dialAddress(`https://${place}`);
  return address === undefined ? undefined : { host: address.host, port: address.port };
}

/** An HTTP proxy that takes CONNECT, without credentials. */
export const proxy: ValueType<string> = text({
  name: 'proxy',
  pattern: '^http://[a-z0-9.:\\[\\]-]+:[1-9]\\d{0,4}$',
  what: 'the address of an HTTP proxy, with a port and without user, password and path: "http://proxy.example:3128"',
  accept: (text) => proxyAddress(text) !== undefined,
});
