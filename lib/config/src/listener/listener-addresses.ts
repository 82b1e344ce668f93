import { posix } from 'node:path';
import { dialAddress } from '../value-types/dial-address.js';
import { tlsAddress } from '../value-types/listener-address.js';

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
