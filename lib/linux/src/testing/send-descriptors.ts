import { loadCLibrary } from '../syscalls/koffi.js';

const library = loadCLibrary();
const sendmsg = library.find('long sendmsg(int fd, void *message, int flags)');

/**
 * Sends descriptors by SCM_RIGHTS with one byte of data, like an OCI runtime: the counterpart of receiveDescriptors.
 */
export function sendDescriptors(socket: number, fds: readonly number[]): void {
  const data = memory(1);
  const vector = memory(16);
  vector.writeBigUInt64LE(library.address(data), 0);
  vector.writeBigUInt64LE(1n, 8);
  const control = memory(16 + Math.ceil((fds.length * 4) / 8) * 8);
  control.writeBigUInt64LE(BigInt(16 + fds.length * 4), 0);
  control.writeInt32LE(1, 8); // SOL_SOCKET
  control.writeInt32LE(1, 12); // SCM_RIGHTS
  for (const [index, fd] of fds.entries()) control.writeInt32LE(fd, 16 + index * 4);
  const message = memory(56);
  message.writeBigUInt64LE(library.address(vector), 16);
  message.writeBigUInt64LE(1n, 24);
  if (fds.length > 0) {
    message.writeBigUInt64LE(library.address(control), 32);
    message.writeBigUInt64LE(BigInt(control.length), 40);
  }
  library.check('sendmsg', sendmsg(socket, message, 0));
}

function memory(size: number): Buffer {
  return Buffer.from(new ArrayBuffer(size));
}
