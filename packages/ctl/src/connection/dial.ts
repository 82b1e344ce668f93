import { connect as connectPath, type Socket } from 'node:net';
import { CommandError } from '../command-error.js';
import { ExitCode } from '../exit-code.js';
import { type Address, formatAddress } from './address.js';
import { connectHvsock } from './hvsock.js';

/**
 * Connects to an agent's address. Rejects with a CommandError (cannot be applied here) that names the address when
 * nobody answers there, or not within `timeoutMs`; the socket is closed then.
 */
export async function dial(address: Address, timeoutMs: number): Promise<Socket> {
  const leave = new AbortController();
  const opening = open(address, leave.signal);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([opening, late]);
  } catch (error) {
    leave.abort();
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(
      ExitCode.CannotApply,
      `cannot reach an agent at ${formatAddress(address)}: ${reason}`,
      { help: helpFor(address, error), cause: error },
    );
  } finally {
    clearTimeout(timer);
  }
}

/** A connected socket; one that is no longer wanted when it is ready is closed. */
async function open(address: Address, leave: AbortSignal): Promise<Socket> {
  if (address.kind === 'vsock') return dialVsock(address, leave);
  const socket =
    address.kind === 'abstract' ? await dialAbstract(address.name) : connectPath({ path: address.path });
  leave.addEventListener('abort', () => socket.destroy(), { once: true });
  if (leave.aborted) socket.destroy();
  if (address.kind !== 'abstract') await connected(socket);
  if (address.kind === 'hvsock') await connectHvsock(socket, address.port);
  return socket;
}

/** Through Linux's own calls, for the exact length of the name; loaded only here, so that all else runs anywhere. */
async function dialAbstract(name: string): Promise<Socket> {
  const { connectUnix, loadSyscalls } = await import('@kata-agent/linux');
  return await connectUnix(loadSyscalls(), { kind: 'abstract', name });
}

async function dialVsock(
  address: { readonly cid: number; readonly port: number },
  leave: AbortSignal,
): Promise<Socket> {
  const { connectVsock, loadSyscalls } = await import('@kata-agent/linux');
  return await connectVsock(loadSyscalls(), address, { signal: leave });
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => reject(error);
    socket.once('error', onError);
    socket.once('connect', () => {
      socket.off('error', onError);
      resolve();
    });
  });
}

function helpFor(address: Address, error: unknown): readonly string[] {
  const code = (error as NodeJS.ErrnoException).code;
  const question =
    address.kind === 'hvsock'
      ? 'is the VMM running, and is this the socket of its vsock device?'
      : 'is the agent running, and is this its server_addr?';
  if (code === 'ENOENT') return [`There is no such socket: ${question}`];
  if (code === 'ECONNREFUSED') return [`Nobody listens there: ${question}`];
  if (code === 'ECONNRESET' && address.kind === 'vsock')
    return [
      'No program listens on that port, or it is not for this machine: see peers in its configuration.',
    ];
  if (code === 'ENODEV' || code === 'EAFNOSUPPORT')
    return ['This machine has no vsock to that context id: is the guest running, and is that its CID?'];
  if (code === 'EACCES') return ['This user may not use the socket.'];
  if (address.kind === 'hvsock')
    return ['The port is the one of the agent’s server_addr, 1024 unless changed.'];
  return [];
}
