import { create, type Message } from '@bufbuild/protobuf';
import {
  type Admit,
  ContextValues,
  type HandlerContext,
  intercept,
  type Refusal,
  type ServerInterceptor,
} from '../interceptor.js';
import { Code, describeError, TtrpcError } from '../status.js';
import { Deadline, timeoutFromWire } from '../deadline.js';
import { decodeMessage, sendMessages } from '../message/messages.js';
import type { Fault } from '../fault.js';
import type { FrameMemory } from '../frame/frame-memory.js';
import type { FrameChannel } from '../frame/frame-channel.js';
import { FrameFlag, frameData, FrameType, type Frame } from '../frame/frame.js';
import { type Metadata, type RequestEnvelope, responsePayloadTag } from '../message/envelopes.js';
import type { Handler, MethodEntry } from './service.js';
import { maxEnvelopeBytes, type EncodedPayload } from '../frame/payload.js';
import type { Limits } from '../limits.js';
import { MessageQueue, type QueueOwner } from '../stream/stream.js';

/**
 * One call from request to response. It is also the handler's context: `signal` costs nothing until it is read.
 *
 * A call is *answered* when its last frame was sent, or when its response can no longer be delivered; it is *settled*
 * when its handler has ended. A handler that ignores its signal still counts as a request in flight.
 */
export class ServerCall<C> implements HandlerContext<C> {
  readonly service: string;
  readonly method: string;
  readonly connection: C;
  readonly metadata: Metadata;
  readonly timeoutMs: number | undefined;
  readonly payload: Uint8Array;
  readonly streamId: number;
  readonly #host: CallHost<C>;
  readonly #entry: MethodEntry<C> | undefined;
  /** The memory of the request, if it is given back when the handler has ended. */
  readonly #borrowed: Buffer | undefined;
  readonly #queue: MessageQueue<Message> | undefined;
  #remoteClosed = false;
  #answered = false;
  #aborted: TtrpcError | undefined;
  #controller: AbortController | undefined;
  #values: ContextValues | undefined;
  #deadline: Deadline | undefined;

  constructor(host: CallHost<C>, frame: Frame, envelope: RequestEnvelope, entry: MethodEntry<C> | undefined) {
    this.service = envelope.service;
    this.method = envelope.method;
    this.connection = host.connection;
    this.metadata = envelope.metadata;
    this.timeoutMs = timeoutFromWire(envelope.timeoutNano);
    this.payload = envelope.payload;
    this.streamId = frame.streamId;
    this.#host = host;
    this.#entry = entry;
    this.#borrowed = frame.alone && entry?.borrows === true ? frame.buffer : undefined;
    if (entry?.kind === 'client_streaming' || entry?.kind === 'bidi_streaming') {
      const decode = (payload: Uint8Array): Message =>
        decodeMessage(entry.input, payload, host.limits, entry.unknownFields);
      this.#queue = new MessageQueue(decode, host.limits.streamBufferBytes, host);
      // As in Go, a payload in the request is the first message. Without flags the stream consists of the request
      // alone.
      if (this.payload.length > 0 || frame.flags === 0) this.#queue.push(this.payload);
      if ((frame.flags & FrameFlag.RemoteOpen) === 0) this.#closeRemote();
    } else if (entry?.kind === 'unary' || (frame.flags & FrameFlag.RemoteOpen) === 0) {
      this.#remoteClosed = true;
    }
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#aborted !== undefined && !this.#controller.signal.aborted)
      this.#controller.abort(this.#aborted);
    return this.#controller.signal;
  }

  get values(): ContextValues {
    this.#values ??= new ContextValues();
    return this.#values;
  }

  drained(): Promise<void> | undefined {
    return this.#host.channel.drained();
  }

  start(): void {
    if (this.timeoutMs !== undefined && this.timeoutMs > 0)
      this.#deadline = new Deadline(this.timeoutMs, () => this.reject(this.#late()));
    const decision = this.#admission();
    if (decision === undefined) this.#proceed();
    else if ('then' in decision)
      decision.then(
        (refusal) => this.#decided(refusal),
        (error) => this.#decided(this.#notAdmitted(error)),
      );
    else this.#refuse(decision);
  }

  /** Handles a data frame. Returns the protocol violation, if there is one. */
  data(frame: Frame): string | undefined {
    if (this.#remoteClosed) return 'data on a stream that its sender has closed or that takes none';
    if ((frame.flags & FrameFlag.NoData) === 0 && this.#entry !== undefined) {
      if (this.#queue === undefined) return 'data on a stream that takes none';
      this.#queue.push(frameData(frame));
    }
    if ((frame.flags & FrameFlag.RemoteClosed) !== 0) this.#closeRemote();
    return undefined;
  }

  get answered(): boolean {
    return this.#answered;
  }

  /** Answers with an error and aborts the handler's signal. */
  reject(error: TtrpcError): void {
    if (this.#answered) return;
    this.#host.answer(this.streamId, error, this.#host.alone);
    this.abort(error);
  }

  /** Aborts the call: its response can no longer be delivered. */
  abort(reason: TtrpcError): void {
    this.#finish();
    this.#aborted ??= reason;
    this.#controller?.abort(reason);
    this.#queue?.discard(reason);
  }

  #closeRemote(): void {
    this.#remoteClosed = true;
    this.#queue?.end();
  }

  #late(): TtrpcError {
    return new TtrpcError(
      Code.DeadlineExceeded,
      `${this.method}: the deadline of ${this.timeoutMs} ms has passed`,
    );
  }

  /** Fails closed: an admission that throws rejects the call. */
  #admission(): Refusal | undefined | Promise<Refusal | undefined> {
    try {
      return this.#host.admit?.(this);
    } catch (error) {
      return this.#notAdmitted(error);
    }
  }

  #notAdmitted(error: unknown): Refusal {
    this.#report('admit', 'the admission of the call failed', error);
    return { error: new TtrpcError(Code.Internal, `${this.method} could not be admitted`) };
  }

  #decided(refusal: Refusal | undefined): void {
    if (refusal === undefined) this.#proceed();
    else this.#refuse(refusal);
  }

  #refuse(refusal: Refusal): void {
    if ('error' in refusal) this.#fail(refusal.error);
    else this.#succeed(refusal.reply);
  }

  #proceed(): void {
    const entry = this.#entry;
    if (this.#answered) this.#settle();
    else if (this.timeoutMs !== undefined && this.timeoutMs <= 0) this.#refuse({ error: this.#late() });
    else if (entry?.handler === undefined) this.#refuse({ error: this.#unimplemented() });
    else if (entry.kind === 'unary') this.#unary(entry, entry.handler);
    else
      this.#stream(entry, entry.handler).then(
        (reply) => this.#succeed(reply, entry.kind !== 'client_streaming'),
        (error) => this.#fail(error),
      );
  }

  #unimplemented(): TtrpcError {
    return new TtrpcError(Code.Unimplemented, `${this.service}/${this.method} is not served here`);
  }

  #unary(entry: MethodEntry<C>, handler: Handler<C>): void {
    const { interceptors } = this.#host;
    let result: unknown;
    try {
      const request = this.#decode(entry);
      result =
        interceptors.length === 0
          ? handler(request, this)
          : intercept(interceptors, request, this, async (message) =>
              asMessage(entry, await handler(message, this)),
            );
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (isPromise(result))
      result.then(
        (reply) => this.#succeed(reply),
        (error) => this.#fail(error),
      );
    else this.#succeed(result);
  }

  /** Reports a decoding failure itself, since no interceptor sees it. */
  #decode(entry: MethodEntry<C>): Message {
    try {
      return decodeMessage(entry.input, this.payload, this.#host.limits, entry.unknownFields);
    } catch (error) {
      this.#report('request', error instanceof Error ? error.message : String(error), error);
      throw error;
    }
  }

  async #stream(entry: MethodEntry<C>, handler: Handler<C>): Promise<Message> {
    const { interceptors } = this.#host;
    const request = this.#queue === undefined ? this.#decode(entry) : create(entry.input);
    return intercept(interceptors, request, this, async (message) => {
      const result = handler(this.#queue ?? message, this);
      if (entry.kind === 'client_streaming') return asMessage(entry, await result);
      const messages = result as AsyncIterable<unknown>;
      const encode = (reply: unknown): EncodedPayload => this.#encode(entry, reply);
      await sendMessages(this.#host.channel, this.streamId, messages, encode, () => !this.#answered);
      return create(entry.output);
    });
  }

  /** `reply` is the message of a call with a single response; a rejected stream may have one too. */
  #succeed(reply: unknown, streamed = false): void {
    if (!this.#answered) {
      try {
        this.#sendLast(reply, streamed);
        this.#queue?.discard(); // after the answer: it may resume reading, also of late frames of this call
      } catch (error) {
        this.#fail(error);
        return;
      }
    }
    this.#settle();
  }

  #sendLast(reply: unknown, streamed: boolean): void {
    const { channel, alone } = this.#host;
    const { streamId } = this;
    const entry = this.#entry;
    if (entry === undefined) throw this.#unimplemented();
    const payload = streamed ? undefined : this.#encode(entry, reply);
    this.#finish();
    if (entry.kind === 'unary' || entry.kind === 'client_streaming') {
      channel.send(streamId, FrameType.Response, 0, payload, responsePayloadTag, undefined, alone);
      return;
    }
    if (payload !== undefined) channel.send(streamId, FrameType.Data, 0, payload);
    channel.send(streamId, FrameType.Data, FrameFlag.RemoteClosed | FrameFlag.NoData);
  }

  /** A thrown status is sent as it is; any other error is UNKNOWN to the peer, and a fault. */
  #fail(error: unknown): void {
    const status = error instanceof TtrpcError && error.code !== Code.Ok ? error : undefined;
    const stopped = this.#answered && error instanceof Error && error.name === 'AbortError';
    if (status === undefined && !stopped) this.#report('handler', 'the handler failed', error);
    this.reject(status ?? new TtrpcError(Code.Unknown, describeError(error)));
    this.#settle();
  }

  #encode(entry: MethodEntry<C>, reply: unknown): EncodedPayload {
    const payload = entry.encode(asObject(entry, reply));
    const max = this.#host.limits.maxFrameBytes;
    if (payload.length + maxEnvelopeBytes > max)
      throw new TtrpcError(
        Code.ResourceExhausted,
        `the reply has ${payload.length} bytes, too many for a frame of ${max}`,
      );
    return payload;
  }

  #report(kind: Fault<C>['kind'], message: string, error: unknown): void {
    const { service, method, connection } = this;
    this.#host.report({ kind, message, connection, service, method, error });
  }

  /** The handler has ended. */
  #settle(): void {
    if (this.#borrowed !== undefined) this.#host.memory.giveBack(this.#borrowed);
    this.#host.settled(this);
  }

  #finish(): void {
    this.#answered = true;
    this.#deadline?.cancel();
    this.#deadline = undefined;
  }
}

function asObject<C>(entry: MethodEntry<C>, reply: unknown): object {
  if (typeof reply === 'object' && reply !== null) return reply;
  throw new TypeError(`${entry.name} returned ${typeof reply} instead of a ${entry.output.typeName}`);
}

function asMessage<C>(entry: MethodEntry<C>, reply: unknown): Message {
  return create(entry.output, asObject(entry, reply) as Record<string, unknown>);
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

/** The part of a connection that a server-side call uses. */
export interface CallHost<C> extends QueueOwner {
  readonly connection: C;
  readonly channel: FrameChannel;
  readonly limits: Limits;
  readonly admit: Admit<C> | undefined;
  readonly interceptors: readonly ServerInterceptor<C>[];
  readonly memory: FrameMemory;
  /** No other call is in flight, so a frame is written at once instead of being batched. */
  readonly alone: boolean;
  report(fault: Fault<C>): void;
  answer(streamId: number, error: TtrpcError, alone: boolean): void;
  /** Reports that the handler of a call has ended: the call no longer counts as in flight. */
  settled(call: { readonly streamId: number }): void;
}
