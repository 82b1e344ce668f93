import { posix } from 'node:path';

/** Reports whether two valid addresses of listeners cannot be open at the same time. */
export function addressesOverlap(one: string, other: string): boolean {
  const [first, second] = [vsockAddress(one), vsockAddress(other)];
  if (first !== undefined && second !== undefined) {
    const anyCid = first.cid === -1 || second.cid === -1 || first.cid === second.cid;
    return anyCid && first.port === second.port;
  }
  return unixName(one) === unixName(other);
}

function vsockAddress(text: string): { readonly cid: number; readonly port: number } | undefined {
  const [, cid, port] = /^vsock:\/\/(-?\d+):(\d+)$/.exec(text) ?? [];
  return cid === undefined || port === undefined ? undefined : { cid: Number(cid), port: Number(port) };
}

/** Two texts of one path, as `/run//a` and `/run/./a`, are one socket. Abstract names are compared exactly. */
function unixName(text: string): string {
  const path = /^unix:\/\/(\/.*)$/s.exec(text)?.[1];
  return path === undefined ? text : posix.normalize(path);
}
