import type { AddressInfo, Server } from 'node:net';

/** A TCP address. */
export interface HostPort {
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

/** Of connections before accept(2), if the kernel allows as many: without a place each would be tried again a second later. */
const backlog = 4_096;

/** Opens a server. Resolves with its port; rejects with the system's error. */
export function listen(server: Server, { host, port }: HostPort): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog, exclusive: true }, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}
