import { connect as connectPath, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { CommandError, ExitCode } from '../command/command-error.js';
import { type Address, formatAddress } from './address.js';
import { dialTls } from './dial-tls.js';
import type { Credentials } from './tls-credentials.js';

/** The longest valid reply of a VMM: `OK ` and a port. */
const maxLineBytes = 32;

/**
 * Connects to an agent's address. Rejects with a CommandError (cannot be applied here) that has the address if
 * nothing answers within `timeoutMs`; the socket is then closed. A `tls` or `realm` address needs credentials.
 */
export async function dial(address: Address, timeoutMs: number, credentials?: Credentials): Promise<Socket> {
  return await within(timeoutMs, address, 'an agent', (leave) => open(address, leave, credentials));
}

/**
 * Runs work that an address must answer within a time; the signal aborts when it is over. Rejects with a CommandError
 * (cannot be applied here) that has the address. `what` is sought there.
 */
export async function within<T>(
  timeoutMs: number,
  address: Address,
  what: string,
  work: (leave: AbortSignal) => Promise<T>,
): Promise<T> {
  const leave = new AbortController();
  const working = work(leave.signal);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([working, late]);
  } catch (error) {
    leave.abort();
    if (error instanceof CommandError) throw error;
    const reason = reasonOf(error);
    throw new CommandError(
      ExitCode.CannotApply,
      `cannot reach ${what} at ${formatAddress(address)}: ${reason}`,
      { help: helpFor(address, error), cause: error },
    );
  } finally {
    clearTimeout(timer);
  }
}

/** An error of a name with several addresses has the errors of these, and no text of its own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

/** Returns a connected socket. If the dial has timed out meanwhile, closes it. */
async function open(
  address: Address,
  leave: AbortSignal,
  credentials: Credentials | undefined,
): Promise<Socket> {
  if (address.kind === 'tls') {
    if (credentials?.for !== 'tls') throw new Error('a tls:// address needs credentials');
    return dialTls({ host: address.host, port: address.port }, address, credentials, leave);
  }
  if (address.kind === 'realm') {
    if (credentials?.for !== 'realm') throw new Error('a realm:// address needs credentials');
    const { dialGuest } = await import('./dial-guest.js');
    return dialGuest(address, credentials, credentials.relay, leave);
  }
  if (address.kind === 'vsock') return dialVsock(address, leave);
  const socket =
    address.kind === 'abstract' ? await dialAbstract(address.name) : connectPath({ path: address.path });
  leave.addEventListener('abort', () => socket.destroy(), { once: true });
  if (leave.aborted) socket.destroy();
  if (address.kind !== 'abstract') await connected(socket);
  if (address.kind === 'hvsock') await connectHvsock(socket, address.port);
  return socket;
}

/**
 * Uses our own syscalls for the exact length of an abstract name. They are loaded only here, so that everything else
 * runs on any machine.
 */
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
  if (code === 'ENOENT') return [`the socket does not exist: ${question}`];
  if (address.kind === 'tls') return tlsHelp(code, 'the agent running, with a tls:// listener there?');
  if (address.kind === 'realm') return tlsHelp(code, 'the realm running, with its port for operators there?');
  if (code === 'ECONNREFUSED') return [`nothing listens on the socket: ${question}`];
  if (code === 'ECONNRESET' && address.kind === 'vsock')
    return ['nothing listens on that port, or its peers setting excludes this machine'];
  if (code === 'ENODEV' || code === 'EAFNOSUPPORT')
    return ['no vsock route to that context id: is the guest running, and is that its CID?'];
  if (code === 'EACCES') return ['this user has no permission for the socket'];
  if (address.kind === 'hvsock') return ['use the port of the agent’s server_addr (default: 1024)'];
  return [];
}

function tlsHelp(code: string | undefined, question: string): readonly string[] {
  if (code === 'ECONNREFUSED') return [`nothing listens on that port: is ${question}`];
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return ['the host name does not resolve'];
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') return ['the server does not use TLS'];
  return [];
}

/**
 * Connects to a guest's port through a VMM's unix socket: writes `CONNECT port`, reads `OK n`. Bytes after that line
 * are unshifted into the stream.
 *
 * Rejects with an Error that quotes the reply; the stream cannot be used afterwards. Source:
 * github.com/firecracker-microvm/firecracker/docs/vsock.md; Cloud Hypervisor does the same.
 */
export function connectHvsock(stream: Duplex, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let line = Buffer.alloc(0);

    const settle = (error?: Error): void => {
      stream.off('readable', onReadable).off('end', onEnd).off('close', onEnd).off('error', settle);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onEnd = (): void => {
      settle(new Error(`the VMM closed the connection: nothing listens on port ${port} of the guest`));
    };
    const onReadable = (): void => {
      const chunk: unknown = stream.read();
      if (chunk === null) return;
      line = Buffer.concat([line, chunk as Buffer]);
      const end = line.indexOf('\n');
      if (end < 0) {
        if (line.length > maxLineBytes) settle(unexpected(line));
        return;
      }
      const reply = line.subarray(0, end);
      if (end > maxLineBytes || !/^OK [0-9]+\r?$/.test(reply.toString('latin1'))) {
        settle(unexpected(reply));
        return;
      }
      const rest = line.subarray(end + 1);
      if (rest.length > 0) stream.unshift(rest);
      settle();
    };

    stream.on('readable', onReadable).on('end', onEnd).on('close', onEnd).on('error', settle);
    stream.write(`CONNECT ${port}\n`);
  });
}

function unexpected(line: Buffer): Error {
  const shown = JSON.stringify(line.subarray(0, maxLineBytes).toString('latin1'));
  return new Error(
    `expected 'OK' and a number from the VMM, got ${shown}: is this the vsock socket of a VMM?`,
  );
}
