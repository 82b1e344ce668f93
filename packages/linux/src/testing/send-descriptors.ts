import { createRequire } from 'node:module';

const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
const sendmsg = koffi.load(null).func('long sendmsg(int fd, void *message, int flags)') as (
  fd: number,
  message: Uint8Array,
  flags: number,
) => number;

/** Sends descriptors by SCM_RIGHTS with one byte of data, as an OCI runtime does: the other side of receiveDescriptors. */
export function sendDescriptors(socket: number, fds: readonly number[]): void {
  const data = memory(1);
  const vector = memory(16);
  vector.writeBigUInt64LE(koffi.address(data), 0);
  vector.writeBigUInt64LE(1n, 8);
  const control = memory(16 + Math.ceil((fds.length * 4) / 8) * 8);
  control.writeBigUInt64LE(BigInt(16 + fds.length * 4), 0);
  control.writeInt32LE(1, 8); // SOL_SOCKET
  control.writeInt32LE(1, 12); // SCM_RIGHTS
  for (const [index, fd] of fds.entries()) control.writeInt32LE(fd, 16 + index * 4);
  const message = memory(56);
  message.writeBigUInt64LE(koffi.address(vector), 16);
  message.writeBigUInt64LE(1n, 24);
  if (fds.length > 0) {
    message.writeBigUInt64LE(koffi.address(control), 32);
    message.writeBigUInt64LE(BigInt(control.length), 40);
  }
  if (sendmsg(socket, message, 0) < 0) throw new Error(`sendmsg: errno ${koffi.errno()}`);
}

function memory(size: number): Buffer {
  return Buffer.from(new ArrayBuffer(size));
}
