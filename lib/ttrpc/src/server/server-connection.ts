import type { Duplex } from 'node:stream';
import { type CallHost, ServerCall } from './server-call.js';
import type { FrameMemory } from '../frame/frame-memory.js';
import type { FairTurns } from '../frame/fair-turns.js';
import { FrameChannel, Hold, type ChannelOwner } from '../frame/frame-channel.js';
import { Code, encodeStatus, TtrpcError } from '../status.js';
import type { Fault } from '../fault.js';
import { type Frame, FrameType, type OversizedFrame } from '../frame/frame.js';
import type { Admit, ServerInterceptor } from '../interceptor.js';
import type { Limits } from '../limits.js';
import type { MethodTable } from './service.js';
import { maxEnvelopeBytes } from '../frame/payload.js';
import { readRequest, responseStatusTag } from '../message/envelopes.js';
import { connectionClosed } from '../stream/stream.js';
import { MalformedMessage } from '../message/wire-cursor.js';

/** State shared by all connections of a server. */
export interface ServerSettings<C> {
  readonly methods: MethodTable<C>;
  readonly limits: Limits;
  readonly admit: Admit<C> | undefined;
  readonly interceptors: readonly ServerInterceptor<C>[];
  readonly report: (fault: Fault<C>) => void;
  readonly turns: FairTurns;
  readonly memory: FrameMemory;
  readonly groupOf: (connection: C) => unknown;
}

/** A connection as exposed to the server's owner. */
export interface Connection {
  /** Calls whose handlers have not ended. */
  readonly inFlight: number;
  /** Resolves when the connection is closed, for any reason. */
  readonly closed: Promise<void>;
  /** Closes at once and aborts the signals of its calls. */
  close(): void;
}

/** The server side of one connection. An invalid frame ends its stream or its connection, and affects no other peer. */
export class ServerConnection<C> implements Connection, ChannelOwner, CallHost<C> {
  readonly connection: C;
  readonly channel: FrameChannel;
  readonly closed: Promise<void>;
  readonly #settings: ServerSettings<C>;
  readonly #calls = new Map<number, ServerCall<C>>();
  #resolveClosed: () => void = () => undefined;
  #highestStreamId = 0;
  #fullStreams = 0;
  #draining = false;

  constructor(stream: Duplex, connection: C, settings: ServerSettings<C>) {
    this.connection = connection;
    this.#settings = settings;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.channel = new FrameChannel(
      stream,
      settings.limits,
      this,
      settings.turns.join(settings.groupOf(connection)),
      settings.memory,
    );
  }

  get limits(): Limits {
    return this.#settings.limits;
  }

  get admit(): Admit<C> | undefined {
    return this.#settings.admit;
  }

  get interceptors(): readonly ServerInterceptor<C>[] {
    return this.#settings.interceptors;
  }

  get memory(): FrameMemory {
    return this.#settings.memory;
  }

  get inFlight(): number {
    return this.#calls.size;
  }

  get alone(): boolean {
    return this.#calls.size <= 1;
  }

  close(): void {
    this.channel.destroy();
  }

  /** Rejects new calls and closes when those in flight have ended. */
  drain(): void {
    this.#draining = true;
    if (this.#calls.size === 0) this.channel.end();
  }

  report(fault: Fault<C>): void {
    this.#settings.report(fault);
  }

  answer(streamId: number, error: TtrpcError, alone = false): void {
    let status = encodeStatus(error);
    if (status.length + maxEnvelopeBytes > this.limits.maxFrameBytes)
      status = encodeStatus(new TtrpcError(Code.ResourceExhausted, 'the status is larger than a frame'));
    const payload = { head: status, tail: undefined, length: status.length };
    this.channel.send(streamId, FrameType.Response, 0, payload, responseStatusTag, undefined, alone);
  }

  settled(call: { readonly streamId: number }): void {
    this.#calls.delete(call.streamId);
    if (this.#draining && this.#calls.size === 0) this.channel.end();
  }

  full(): void {
    this.#fullStreams++;
    this.channel.hold(Hold.Streams);
  }

  roomy(): void {
    this.#fullStreams--;
    if (this.#fullStreams === 0) this.channel.release(Hold.Streams);
  }

  frame(frame: Frame): void {
    if (frame.streamId % 2 === 0)
      this.#invalid(frame.streamId, 'StreamID must be odd for client initiated streams');
    else if (frame.type === FrameType.Request) this.#request(frame);
    else if (frame.type === FrameType.Data) this.#data(frame);
    // Other types are reserved for later versions of the protocol.
  }

  oversized(frame: OversizedFrame): void {
    this.violation(frame.message);
    this.answer(frame.streamId, new TtrpcError(Code.ResourceExhausted, frame.message));
    this.channel.end();
  }

  violation(message: string): void {
    this.report({ kind: 'protocol', message, connection: this.connection });
  }

  lost(error: Error | undefined): void {
    const reason = connectionClosed(error);
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.abort(reason);
    this.#resolveClosed();
  }

  #request(frame: Frame): void {
    const { streamId } = frame;
    // Ids need not rise: ttrpc-rust clients number concurrent calls in one order and send them in another.
    if (this.#calls.has(streamId)) {
      this.#invalid(streamId, 'StreamID cannot be re-used while its call is in flight');
      return;
    }
    this.#highestStreamId = Math.max(this.#highestStreamId, streamId);
    const { limits, methods } = this.#settings;
    if (this.#draining) {
      this.answer(streamId, new TtrpcError(Code.Unavailable, 'the server is shutting down'));
      return;
    }
    if (this.#calls.size >= limits.requestsPerConnection) {
      const text = `more than ${limits.requestsPerConnection} requests in flight (limit requestsPerConnection)`;
      this.answer(streamId, new TtrpcError(Code.ResourceExhausted, text));
      return;
    }
    let envelope;
    try {
      envelope = readRequest(frame.buffer, frame.start, frame.end, limits.requestFields);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      this.#invalid(streamId, `unmarshal request error: ${error.message}`);
      return;
    }
    const entry = methods.get(envelope.service)?.get(envelope.method);
    const call = new ServerCall(this, frame, envelope, entry);
    this.#calls.set(streamId, call);
    call.start();
  }

  #data(frame: Frame): void {
    const call = this.#calls.get(frame.streamId);
    if (call === undefined || call.answered) {
      // A stream that was answered early: the sender could not know, so this is not an error.
      const late = frame.streamId <= this.#highestStreamId;
      const text = 'StreamID is no longer active';
      if (late) this.answer(frame.streamId, new TtrpcError(Code.InvalidArgument, text));
      else this.#invalid(frame.streamId, text);
      return;
    }
    const problem = call.data(frame);
    if (problem === undefined) return;
    this.violation(`stream ${frame.streamId}: ${problem}`);
    call.reject(new TtrpcError(Code.InvalidArgument, problem));
  }

  /** Sends INVALID_ARGUMENT on the stream that the peer named. */
  #invalid(streamId: number, message: string): void {
    this.violation(`stream ${streamId}: ${message}`);
    this.answer(streamId, new TtrpcError(Code.InvalidArgument, message));
  }
}
