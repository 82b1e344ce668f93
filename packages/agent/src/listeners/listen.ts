import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import type { Syscalls } from '@kata-agent/linux';
import type { Log } from '../log.js';
import type { Caller } from './caller.js';

export async function listen(options: {
  readonly name: string;
  readonly address: string;
  readonly connections: number;
  readonly syscalls: Syscalls;
  readonly log: Log;
  readonly serve: (stream: Socket, caller: Caller) => void;
}): Promise<{ close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    if (sockets.size >= options.connections) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    options.serve(socket, { listener: options.name, peer: 'unix' });
  });
  server.listen(options.address.replace('unix://', ''));
  await once(server, 'listening');
  return {
    close: async () => {
      server.close();
    },
  };
}
