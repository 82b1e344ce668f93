import {
  connectUnix,
  hasCode,
  peerOf,
  type PeerCredentials,
  SyscallError,
  type Syscalls,
} from '@kata-agent/linux';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { InnerLink } from './inner-link.js';
import { type SocketFault, socketFault } from './inner-socket.js';

/** A connection, and the process that it leads to. */
export interface Linked {
  readonly link: InnerLink;
  readonly peer: PeerCredentials;
}

/** The agent that does the work, at a unix socket. */
export class InnerAgent {
  readonly path: string;
  readonly #syscalls: Syscalls;

  constructor(path: string, syscalls: Syscalls) {
    this.path = path;
    this.#syscalls = syscalls;
  }

  /**
   * Connects to it. The socket is checked each time: after a restart of the inner agent it is another one.
   *
   * @throws InnerFault
   */
  async connect(): Promise<Linked> {
    const owner = process.geteuid?.() ?? 0;
    const fault = socketFault(this.path, owner);
    if (fault !== undefined) throw new InnerFault(fault);
    const socket = await connectUnix(this.#syscalls, { kind: 'path', path: this.path }).catch(
      (error: unknown) => {
        throw notConnected(this.path, error);
      },
    );
    const peer = peerOf(this.#syscalls, socket);
    // The process that listens decides what becomes of each request, whatever the permissions of the file are.
    if (peer === undefined || (peer.uid !== 0 && peer.uid !== owner)) {
      socket.destroy();
      throw new InnerFault({
        kind: 'exposed',
        message: `${this.path}: a process of uid ${peer?.uid ?? '(unknown)'} listens there`,
        help: 'run the inner agent as root',
      });
    }
    return { link: new InnerLink(socket), peer };
  }
}

/** Why the inner agent is not reached; UNAVAILABLE to callers. */
export class InnerFault extends TtrpcError {
  readonly fault: SocketFault;

  constructor(fault: SocketFault, options?: { readonly cause: unknown }) {
    super(Code.Unavailable, `the inner agent is not available: ${fault.message}`, options);
    this.fault = fault;
  }
}

function notConnected(path: string, cause: unknown): InnerFault {
  const waits = hasCode(cause, 'ENOENT', 'ECONNREFUSED', 'EAGAIN');
  const message = cause instanceof SyscallError || cause instanceof Error ? cause.message : String(cause);
  return new InnerFault(
    { kind: waits ? 'absent' : 'exposed', message: `${path}: ${message}`, help: 'start the inner agent' },
    { cause },
  );
}
