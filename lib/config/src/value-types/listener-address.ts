import { isIPv4, isIPv6 } from 'node:net';
import { dialAddress } from './dial-address.js';
import { serverAddress } from './server-address.js';
import { text } from './text.js';
import { printable } from './value-schema.js';
import type { ValueType } from './value-type.js';

/** The IP address and port of a `tls://` address; undefined for any other text. */
export function tlsAddress(text: string): { readonly host: string; readonly port: number } | undefined {
  const [, bracketed, plain, digits] =
    /^tls:\/\/(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([1-9]\d{0,4})$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? '';
  const port = Number(digits);
  const valid = bracketed === undefined ? isIPv4(host) : isIPv6(host);
  return valid && port <= 65_535 ? { host, port } : undefined;
}

/**
 * Where a listener listens: as `server_addr`, or `tls://ADDRESS:PORT` with the IP address to bind. Or the server that it dials:
 * `https://HOST[:PORT]/PATH`.
 */
export const listenerAddress: ValueType<string> = text({
  name: 'address',
  pattern: `^(vsock://(-1|\\d{1,10}):[1-9]\\d{0,9}|unix://[/@]${printable()}+|tls://[0-9A-Fa-f.:\\[\\]]+:[1-9]\\d{0,4}|https://[a-z0-9.:\\[\\]-]+(/[A-Za-z0-9._~/-]*)?)$`,
  what: 'an address: "vsock://-1:1024", "unix:///run/kata-agent/agent.sock", "tls://0.0.0.0:8443", "tls://[::]:8443" or "https://realm.example:8443/guests"',
  accept: (text) =>
    serverAddress.fromText(text).ok || tlsAddress(text) !== undefined || dialAddress(text) !== undefined,
});
