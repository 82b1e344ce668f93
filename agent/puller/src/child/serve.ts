import { Socket } from 'node:net';
import { seccompFilter, type Syscalls, ZstdDecoder } from '@kata-agent/linux';
import { allowedCalls } from './allowed-calls.js';

/** Gives up the system calls that the task does not need, in every thread. */
export function filterCalls(syscalls: Syscalls, rights: { readonly network: boolean }): void {
  if (!rights.network)
    try {
      ZstdDecoder.load();
    } catch {
      // The system has no libzstd: only a layer that needs it fails.
    }
  syscalls.seccomp(seccompFilter(allowedCalls(rights)));
}

/** Opens the agent's socket. */
export function openAgentSocket(descriptor: number): {
  readonly socket: Socket;
  readonly send: (message: unknown) => void;
} {
  const socket = new Socket({ fd: descriptor, readable: true, writable: true });
  return { socket, send: (message) => void socket.write(`${JSON.stringify(message)}\n`) };
}

/**
 * Reads the first line, and passes on those after it. An end before it, or after it, is the agent's: then nobody needs the
 * result.
 */
export function readRequest(
  socket: Socket,
  lineLength: number,
  onLine?: (value: unknown) => void,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let text = '';
    let receive = (value: unknown): void => {
      receive = onLine ?? (() => undefined);
      resolve(value);
    };
    socket.setEncoding('utf8');
    socket.once('close', () => process.exit(1));
    socket.on('error', () => process.exit(1));
    socket.on('data', (chunk: string) => {
      const lines = (text + chunk).split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) receive(JSON.parse(line));
      if (text.length > lineLength) reject(new Error('the request is too long'));
    });
  });
}
