import type { Socket } from 'node:net';
import type { DescMethod, Message } from '@bufbuild/protobuf';
import {
  connectUnix,
  hasCode,
  peerOf,
  type PeerCredentials,
  SyscallError,
  type Syscalls,
} from '@kata-agent/linux';
import { type CallOptions, type Channel, Code, connect, TtrpcError } from '@kata-agent/ttrpc';
import { type SocketFault, socketFault } from './inner-socket.js';

/** Bytes that may wait for the inner agent to read them, in one connection: that of an agent that hangs must not grow. */
const maxQueuedBytes = 16 * 2 ** 20;

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

/**
 * One connection to the inner agent: that of one caller, or that of the agent's own checks. A call of it is sent once. It is a
 * channel whose errors say what is known about a call that was cut off.
 */
export class InnerLink implements Channel {
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #channel: Channel;
  #end: 'closed' | 'lost' | undefined;
  #unread: (() => void)[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#channel = connect(socket);
    this.closed = this.#channel.closed.then(() => {
      this.#end ??= 'lost';
    });
    // The channel learns of it later than the socket, and no call must begin in between.
    socket.once('close', () => {
      this.#end ??= 'lost';
      this.#allRead();
    });
    socket.on('drain', () => this.#allRead());
  }

  get isOpen(): boolean {
    return this.#end === undefined;
  }

  holdUntil(released: Promise<void>): void {
    this.#channel.holdUntil(released);
  }

  /** Ends calls in flight: the inner agent cannot be told otherwise that nobody waits for them. */
  close(): void {
    this.#end ??= 'closed';
    this.#channel.close();
  }

  /** Calls `done` once when all that waits has been read, or the connection is closed. At once if it is little. */
  whenRead(done: () => void): void {
    if (this.#socket.destroyed || !this.#socket.writableNeedDrain) done();
    else this.#unread.push(done);
  }

  #allRead(): void {
    const waiting = this.#unread;
    this.#unread = [];
    for (const done of waiting) done();
  }

  async call(
    method: DescMethod,
    requests: Message | AsyncIterable<Message>,
    options?: CallOptions,
  ): Promise<Message> {
    this.#checkQueue();
    try {
      return await this.#channel.call(method, requests, options);
    } catch (error) {
      throw this.#explained(error);
    }
  }

  async *stream(
    method: DescMethod,
    requests: Message | AsyncIterable<Message>,
    options?: CallOptions,
  ): AsyncGenerator<Message, void> {
    this.#checkQueue();
    try {
      yield* this.#channel.stream(method, requests, options);
    } catch (error) {
      throw this.#explained(error);
    }
  }

  #checkQueue(): void {
    const queued = this.#socket.writableLength;
    if (queued > maxQueuedBytes)
      throw new TtrpcError(
        Code.ResourceExhausted,
        `the inner agent has not read ${queued} bytes of earlier requests of this connection`,
      );
  }

  #explained(cause: unknown): unknown {
    if (this.#end === undefined || !(cause instanceof TtrpcError)) return cause;
    // A reply that had arrived counts; the two errors below are those of a channel that ends.
    if (this.#end === 'lost' && cause.code === Code.Unavailable)
      return new TtrpcError(
        Code.Unavailable,
        'the connection to the inner agent was lost during the call: it may have been carried out',
        { cause },
      );
    if (this.#end === 'closed' && cause.code === Code.Canceled)
      return new TtrpcError(
        Code.Canceled,
        'the caller was gone, or this agent ended, before the inner agent answered: the call may have been carried out',
        { cause },
      );
    return cause;
  }
}

/**
 * The connections to the inner agent: one for each connection of a caller that has made a call, closed with it. ttRPC has no
 * frame that cancels a call, so that a caller who goes away can end its calls only by its connection, as it would without this
 * agent in between; and a call that the inner agent never answers occupies no connection of another caller.
 */
export class InnerLinks<Caller extends object> {
  readonly #agent: Pick<InnerAgent, 'connect'>;
  readonly #links = new Map<Caller, Promise<InnerLink>>();
  readonly #gone = new WeakSet<Caller>();
  #closed = false;

  constructor(agent: Pick<InnerAgent, 'connect'>) {
    this.#agent = agent;
  }

  /** The number of connections. */
  get size(): number {
    return this.#links.size;
  }

  /**
   * Returns the connection for a caller; a lost one is replaced.
   *
   * @throws InnerFault if the inner agent is not reached, CANCELED if the caller is gone.
   */
  async of(caller: Caller): Promise<InnerLink> {
    if (this.#closed || this.#gone.has(caller))
      throw new TtrpcError(
        Code.Canceled,
        'the caller was gone, or this agent ended, before the call was forwarded',
      );
    const known = this.#links.get(caller);
    if (known !== undefined) {
      const link = await known;
      if (link.isOpen) return link;
      // Another call may have replaced it meanwhile.
      if (this.#links.get(caller) === known) this.#links.delete(caller);
      return this.of(caller);
    }
    const connecting = this.#agent.connect().then(({ link }) => link);
    this.#links.set(caller, connecting);
    connecting.catch(() => {
      // The next call tries again.
      if (this.#links.get(caller) === connecting) this.#links.delete(caller);
    });
    return connecting;
  }

  /** Calls `done` once when the inner agent has read what a caller has sent so far, or the connection is closed. */
  whenRead(caller: Caller, done: () => void): void {
    const link = this.#links.get(caller);
    if (link === undefined) done();
    else link.then((open) => open.whenRead(done), done);
  }

  /** Closes the connection of a caller that is gone. */
  left(caller: Caller): void {
    this.#gone.add(caller);
    const link = this.#links.get(caller);
    this.#links.delete(caller);
    if (link !== undefined) closeWhenOpen(link);
  }

  close(): void {
    this.#closed = true;
    for (const link of this.#links.values()) closeWhenOpen(link);
    this.#links.clear();
  }
}

function closeWhenOpen(link: Promise<InnerLink>): void {
  link.then(
    (open) => open.close(),
    () => undefined,
  );
}
