import { posix } from 'node:path';
import { dialAddress, tlsAddress } from '../value-types/addresses.js';
import { defaultRelay, type Relay } from '../listener.js';

/** The name of the only listener of a configuration without `[[listener]]`; its address is `server_addr`. */
export const implicitListener: string = 'server_addr';

/** How callers reach a listener: at an address without TLS, at `tls://`, or through the server of `https://` by the relay. */
export type ListenerPlace = 'local' | 'tls' | Relay;

/** The address of a listener whose address a delivered document sets in the guest: it can set only one to dial. */
export const dialledAddress: string = 'https://';

/** Returns how callers reach a listener. */
export function listenerPlace(address: string, relay: Relay = defaultRelay): ListenerPlace {
  if (address.startsWith('tls:')) return 'tls';
  return address.startsWith('https:') ? relay : 'local';
}

/** Reports whether two valid addresses of listeners cannot be open at the same time, or are the same server to dial. */
export function addressesOverlap(one: string, other: string): boolean {
  const [first, second] = [vsockAddress(one), vsockAddress(other)];
  if (first !== undefined && second !== undefined) {
    const anyCid = first.cid === -1 || second.cid === -1 || first.cid === second.cid;
    return anyCid && first.port === second.port;
  }
  const [tls, otherTls] = [tlsAddress(one), tlsAddress(other)];
  if (tls !== undefined && otherTls !== undefined) {
    const anyHost = isEveryAddress(tls.host) || isEveryAddress(otherTls.host) || tls.host === otherTls.host;
    return anyHost && tls.port === otherTls.port;
  }
  const [dialled, otherDialled] = [dialAddress(one), dialAddress(other)];
  if (dialled !== undefined && otherDialled !== undefined)
    return (['host', 'port', 'path'] as const).every((part) => dialled[part] === otherDialled[part]);
  return unixName(one) === unixName(other);
}

function vsockAddress(text: string): { readonly cid: number; readonly port: number } | undefined {
  const [, cid, port] = /^vsock:\/\/(-?\d+):(\d+)$/.exec(text) ?? [];
  return cid === undefined || port === undefined ? undefined : { cid: Number(cid), port: Number(port) };
}

/** `[::]` includes IPv4. */
function isEveryAddress(host: string): boolean {
  return /^[0:.]+$/.test(host);
}

/** Two texts of one path, as `/run//a` and `/run/./a`, are one socket. Abstract names are compared exactly. */
function unixName(text: string): string {
  const path = /^unix:\/\/(\/.*)$/s.exec(text)?.[1];
  return path === undefined ? text : posix.normalize(path);
}
