import type { Duplex } from 'node:stream';
import { create, type DescMethod, type Message } from '@bufbuild/protobuf';
import type { CallOptions, Channel } from './channel.js';
import { SingleReply, StreamedReply, type ClientCall } from './client-call.js';
import { Code, describeError, TtrpcError } from '../status.js';
import { Deadline, timeoutToWire } from '../deadline.js';
import { FrameChannel, Hold, type ChannelOwner } from '../frame/frame-channel.js';
import { type Frame, FrameFlag, FrameType, type OversizedFrame } from '../frame/frame.js';
import { intercept, type ClientCallInfo, type ClientInterceptor } from '../interceptor.js';
import type { Limits } from '../limits.js';
import { extendLead, metadataFromPairs, metadataPairs, requestLead } from '../message/envelopes.js';
import {
  emptyPayload,
  encoderOf,
  maxEnvelopeBytes,
  type Encode,
  type EncodedPayload,
} from '../frame/payload.js';
import { sendMessages } from '../message/messages.js';
import { connectionClosed } from '../stream/stream.js';

type Requests = Message | AsyncIterable<Message>;

/** Values that are computed once per method. */
interface PreparedMethod {
  readonly lead: Uint8Array;
  readonly encode: Encode;
}

interface Pending {
  readonly call: ClientCall;
  /** Stops watching deadline and signal. */
  readonly release: () => void;
}

const requestPayloadTag = 0x1a;
const lastStreamId = 2 ** 32 - 1;

/** The client side of one connection: stream ids, calls in flight, and how they end. */
export class ClientConnection implements Channel, ChannelOwner {
  readonly closed: Promise<void>;
  readonly #channel: FrameChannel;
  readonly #limits: Limits;
  readonly #interceptors: readonly ClientInterceptor[];
  readonly #prepared = new WeakMap<DescMethod, PreparedMethod>();
  readonly #calls = new Map<number, Pending>();
  #resolveClosed: () => void = () => undefined;
  #nextStreamId = 1;
  #fullStreams = 0;
  #holders = 0;
  #failure: Error | undefined;

  constructor(stream: Duplex, limits: Limits, interceptors: readonly ClientInterceptor[]) {
    this.#limits = limits;
    this.#interceptors = interceptors;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#channel = new FrameChannel(stream, limits, this);
  }

  holdUntil(released: Promise<void>): void {
    this.#holders++;
    this.#channel.hold(Hold.Asked);
    void released.then(() => {
      this.#holders--;
      if (this.#holders === 0) this.#channel.release(Hold.Asked);
    });
  }

  close(): void {
    this.#failure ??= new TtrpcError(Code.Canceled, 'the channel was closed locally');
    this.#channel.destroy();
  }

  call(method: DescMethod, requests: Requests, options: CallOptions = {}): Promise<Message> {
    const last = (request: Message): Promise<Message> =>
      new Promise((resolve, reject) => {
        const call = new SingleReply(method, this.#limits, resolve, reject);
        this.#open(method, call, isMessage(requests) ? request : requests, options);
      });
    return this.#through(method, requests, options, last);
  }

  async *stream(
    method: DescMethod,
    requests: Requests,
    options: CallOptions = {},
  ): AsyncGenerator<Message, void> {
    let begin: (abandon: () => void) => void = () => undefined;
    let reply: StreamedReply | undefined;
    const begun = new Promise<() => void>((resolve) => {
      begin = resolve;
    });
    const last = (request: Message): Promise<Message> =>
      new Promise((resolve, reject) => {
        const end = (): void => resolve(create(method.output));
        reply = new StreamedReply(method, this.#limits, this.#queueOwner, end, reject);
        const streamId = this.#open(method, reply, isMessage(requests) ? request : requests, options);
        begin(() =>
          this.#abandon(streamId, new TtrpcError(Code.Canceled, `${method.name}: the reader stopped`)),
        );
      });
    // Errors become values: a rejection before the caller awaits would be unhandled.
    const outcome = this.#through(method, requests, options, last).then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    const abandon = await Promise.race([begun, outcome]);
    if (reply !== undefined && typeof abandon === 'function') {
      try {
        yield* reply.messages;
      } finally {
        abandon();
      }
    }
    const failed = await outcome;
    if (failed !== undefined) throw failed.error;
  }

  frame(frame: Frame): void {
    const pending = this.#calls.get(frame.streamId);
    if (pending === undefined) return; // late: the call has ended
    try {
      if (pending.call.frame(frame)) this.#forget(frame.streamId);
    } catch (error) {
      this.#abandon(frame.streamId, error instanceof TtrpcError ? error : badFrame(error));
    }
  }

  /** A frame exceeded the limit: its call ends with that error, the other calls with a lost connection. */
  oversized(frame: OversizedFrame): void {
    this.#abandon(frame.streamId, new TtrpcError(Code.ResourceExhausted, frame.message));
    this.violation(frame.message);
    this.#channel.destroy();
  }

  violation(message: string): void {
    this.#failure ??= connectionClosed(new Error(message));
  }

  lost(error: Error | undefined): void {
    this.#failure ??= connectionClosed(error);
    for (const streamId of this.#calls.keys()) this.#abandon(streamId, this.#failure);
    this.#resolveClosed();
  }

  readonly #queueOwner = {
    full: (): void => {
      this.#fullStreams++;
      this.#channel.hold(Hold.Streams);
    },
    roomy: (): void => {
      this.#fullStreams--;
      if (this.#fullStreams === 0) this.#channel.release(Hold.Streams);
    },
  };

  async #through(
    method: DescMethod,
    requests: Requests,
    options: CallOptions,
    last: (request: Message) => Promise<Message>,
  ): Promise<Message> {
    const request = isMessage(requests) ? requests : create(method.input);
    if (this.#interceptors.length === 0) return last(request);
    return intercept(this.#interceptors, request, callInfo(method, options), last);
  }

  /** Sends the request and registers the call. Returns the stream id; throws when the call cannot be sent. */
  #open(method: DescMethod, call: ClientCall, requests: Requests, options: CallOptions): number {
    const { timeoutMs, signal } = options;
    if (this.#failure !== undefined) throw this.#failure;
    if (signal?.aborted === true) throw canceled(method, signal);
    if (timeoutMs !== undefined && !(timeoutMs > 0)) throw late(method, timeoutMs);
    const streamId = this.#nextStreamId;
    if (streamId > lastStreamId)
      throw new TtrpcError(
        Code.Unavailable,
        'all stream ids of the connection are used: open a new connection',
      );
    const { lead, encode } = this.#prepare(method);
    const payload = isMessage(requests) ? encode(requests) : emptyPayload;
    const pairs = options.metadata === undefined ? [] : metadataPairs(options.metadata);
    const full =
      timeoutMs === undefined && pairs.length === 0
        ? lead
        : extendLead(lead, timeoutToWire(timeoutMs), pairs);
    this.#checkSize(method, full.length + payload.length);
    this.#nextStreamId += 2;
    this.#calls.set(streamId, { call, release: this.#watch(method, streamId, options) });
    const flags = {
      unary: 0,
      server_streaming: FrameFlag.RemoteClosed,
      client_streaming: FrameFlag.RemoteOpen,
      bidi_streaming: FrameFlag.RemoteOpen,
    };
    this.#channel.send(
      streamId,
      FrameType.Request,
      flags[method.methodKind],
      payload,
      requestPayloadTag,
      full,
      this.#calls.size === 1,
    );
    if (!isMessage(requests)) void this.#sendAll(method, streamId, requests, encode);
    return streamId;
  }

  /**
   * Sends the request messages. Never rejects: an error ends the call. The server is not notified of it; it stops at
   * its deadline or when the connection closes.
   */
  async #sendAll(
    method: DescMethod,
    streamId: number,
    requests: AsyncIterable<Message>,
    encode: Encode,
  ): Promise<void> {
    const wanted = (): boolean => this.#calls.has(streamId);
    const encodeOne = (message: Message): EncodedPayload => {
      const payload = encode(message);
      this.#checkSize(method, payload.length);
      return payload;
    };
    try {
      await sendMessages(this.#channel, streamId, requests, encodeOne, wanted);
      if (wanted())
        this.#channel.send(streamId, FrameType.Data, FrameFlag.RemoteClosed | FrameFlag.NoData, emptyPayload);
    } catch (error) {
      this.#abandon(streamId, error instanceof Error ? error : new Error(String(error)));
    }
  }

  #checkSize(method: DescMethod, bytes: number): void {
    const max = this.#limits.maxFrameBytes;
    if (bytes + maxEnvelopeBytes > max)
      throw new TtrpcError(
        Code.ResourceExhausted,
        `${method.name}: a message of ${bytes} bytes exceeds a frame of ${max}`,
      );
  }

  /** Ends the call at its deadline or when its signal aborts. Returns a function that stops watching. */
  #watch(method: DescMethod, streamId: number, { timeoutMs, signal }: CallOptions): () => void {
    if (timeoutMs === undefined && signal === undefined) return nothing;
    const deadline =
      timeoutMs === undefined
        ? undefined
        : new Deadline(timeoutMs, () => this.#abandon(streamId, late(method, timeoutMs)));
    const abort = (): void => this.#abandon(streamId, canceled(method, signal));
    signal?.addEventListener('abort', abort, { once: true });
    return () => {
      deadline?.cancel();
      signal?.removeEventListener('abort', abort);
    };
  }

  #prepare(method: DescMethod): PreparedMethod {
    const known = this.#prepared.get(method);
    if (known !== undefined) return known;
    const prepared = {
      lead: requestLead(method.parent.typeName, method.name),
      encode: encoderOf(method.input),
    };
    this.#prepared.set(method, prepared);
    return prepared;
  }

  #forget(streamId: number): void {
    this.#calls.get(streamId)?.release();
    this.#calls.delete(streamId);
  }

  #abandon(streamId: number, error: Error): void {
    const pending = this.#calls.get(streamId);
    this.#forget(streamId);
    pending?.call.fail(error);
  }
}

const nothing = (): void => undefined;

function isMessage(requests: Requests): requests is Message {
  return '$typeName' in requests;
}

function callInfo(method: DescMethod, { timeoutMs, metadata, signal }: CallOptions): ClientCallInfo {
  return {
    service: method.parent.typeName,
    method: method.name,
    metadata: metadataFromPairs(metadata === undefined ? [] : metadataPairs(metadata)),
    timeoutMs,
    signal,
  };
}

function canceled(method: DescMethod, signal: AbortSignal | undefined): TtrpcError {
  return new TtrpcError(Code.Canceled, `${method.name} was canceled`, { cause: signal?.reason });
}

function late(method: DescMethod, timeoutMs: number): TtrpcError {
  return new TtrpcError(Code.DeadlineExceeded, `${method.name}: the deadline of ${timeoutMs} ms has passed`);
}

function badFrame(cause: unknown): TtrpcError {
  return new TtrpcError(Code.Internal, `the server sent a malformed frame: ${describeError(cause)}`, {
    cause,
  });
}
