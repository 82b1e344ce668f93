import type { Socket } from 'node:net';
import type { DescMethod, Message } from '@bufbuild/protobuf';
import { type CallOptions, type Channel, Code, connect, TtrpcError } from '@kata-agent/ttrpc';

/** Bytes that may wait for the inner agent to read them, in one connection: that of an agent that hangs must not grow. */
const maxQueuedBytes = 16 * 2 ** 20;

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
