import { Buffer } from 'node:buffer';
import { Socket } from '../syscalls/constants.js';

/** A vsock address (vsock(7)): context id and port, both unsigned 32-bit numbers. */
export interface VsockAddress {
  readonly cid: number;
  readonly port: number;
}

/** Well-known context ids. `Any` listens on all local ones. */
export const Cid = { Local: 1, Host: 2, Any: 0xffff_ffff } as const;

const scheme = 'vsock://';
const form =
  'expected vsock://CID:PORT, as in vsock://-1:1024, where -1 means any context id of this machine';

/** Parses `vsock://CID:PORT`. The error names the fault and the format. */
export function parseVsockAddress(text: string): VsockAddress {
  const [, cid, port] = /^vsock:\/\/(-1|[0-9]{1,10}):([0-9]{1,10})$/.exec(text) ?? [];
  if (cid === undefined || port === undefined)
    throw new Error(`vsock address ${JSON.stringify(text)}: ${form}`);
  const address = { cid: cid === '-1' ? Cid.Any : Number(cid), port: Number(port) };
  if (address.cid > Cid.Any) throw new Error(`vsock address ${JSON.stringify(text)}: the CID has 32 bits`);
  // The highest port is VMADDR_PORT_ANY.
  if (address.port === 0 || address.port >= 0xffff_ffff)
    throw new Error(`vsock address ${JSON.stringify(text)}: a port is from 1 to 4294967294`);
  return address;
}

/** Formats an address; parsing the result gives the same address. */
export function formatVsockAddress({ cid, port }: VsockAddress): string {
  return `${scheme}${cid === Cid.Any ? '-1' : cid}:${port}`;
}

/** Encodes struct sockaddr_vm: family (2 bytes), reserved (2), port (4), cid (4), flags and padding (4). */
export function vsockSocketAddress({ cid, port }: VsockAddress): Uint8Array {
  const result = Buffer.from(new ArrayBuffer(16));
  result.writeUInt16LE(Socket.Vsock, 0);
  result.writeUInt32LE(port, 4);
  result.writeUInt32LE(cid, 8);
  return result;
}

/** Returns undefined for a socket address of another family. */
export function readVsockSocketAddress(address: Uint8Array): VsockAddress | undefined {
  const bytes = Buffer.from(address);
  if (bytes.length < 12 || bytes.readUInt16LE(0) !== Socket.Vsock) return undefined;
  return { cid: bytes.readUInt32LE(8), port: bytes.readUInt32LE(4) };
}
