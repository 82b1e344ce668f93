import { randomUUID } from 'node:crypto';
import { Socket } from '../syscalls/constants.js';
import { RecordingSyscalls } from '../syscalls/fake.js';
import { loadSyscalls } from '../syscalls/load-syscalls.js';
import type { Syscalls } from '../syscalls/syscalls.js';
import { unixSocketAddress } from '../socket/unix-socket.js';
import { readVsockSocketAddress, vsockSocketAddress } from '../socket/vsock-socket.js';

/**
 * Syscalls with unix sockets in place of vsock: each port is an abstract name, so that tests never open vsock on the
 * machine they run on. `peerCid` is the CID reported for every peer.
 */
export function fakeVsock(peerCid: number): RecordingSyscalls {
  const kernel: Syscalls = loadSyscalls();
  const prefix = `fake-vsock-${randomUUID()}`;
  const translated = (address: Uint8Array): Uint8Array => {
    const vsock = readVsockSocketAddress(address);
    if (vsock === undefined) return address;
    return unixSocketAddress({ kind: 'abstract', name: `${prefix}-${vsock.port}` });
  };
  return new RecordingSyscalls(
    {
      socket: (domain, type, protocol) =>
        kernel.socket(domain === Socket.Vsock ? Socket.Unix : domain, type, protocol),
      bind: (fd, address, label) => kernel.bind(fd, translated(address), label),
      connect: (fd, address, label) => kernel.connect(fd, translated(address), label),
      peerAddress: () => vsockSocketAddress({ cid: peerCid, port: 77 }),
    },
    kernel,
  );
}
