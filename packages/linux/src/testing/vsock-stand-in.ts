import { randomUUID } from 'node:crypto';
import { Socket } from '../constants.js';
import { RecordingSyscalls } from '../fake.js';
import { loadSyscalls } from '../koffi.js';
import type { Syscalls } from '../syscalls.js';
import { unixSocketAddress } from '../unix-address.js';
import { readVsockSocketAddress, vsockSocketAddress } from '../vsock-address.js';

/**
 * The real kernel, with unix sockets where vsock is asked for: each port is an abstract name. A test never opens vsock on
 * the machine that it runs on. Who connects comes from this CID.
 */
export function vsockStandIn(peerCid: number): RecordingSyscalls {
  const kernel: Syscalls = loadSyscalls();
  const prefix = `vsock-stand-in-${randomUUID()}`;
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
