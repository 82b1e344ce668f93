import type { DescMethod, Message } from '@bufbuild/protobuf';
import { Code, decodeStatus, TtrpcError } from '../status.js';
import { decodeMessage } from '../message/messages.js';
import { FrameFlag, frameData, FrameType, type Frame } from '../frame/frame.js';
import type { Limits } from '../limits.js';
import { readResponse } from '../message/envelopes.js';
import { MessageQueue, type QueueOwner } from '../stream/stream.js';

/** A pending call that receives frames. */
export interface ClientCall {
  /** Handles a frame of its stream; returns true when the frame ends the call. Throws the error that ends the call. */
  frame(frame: Frame): boolean;
  fail(error: Error): void;
}

/** A call with a single response message. */
export class SingleReply implements ClientCall {
  readonly fail: (error: Error) => void;
  readonly #method: DescMethod;
  readonly #limits: Limits;
  readonly #resolve: (reply: Message) => void;

  constructor(
    method: DescMethod,
    limits: Limits,
    resolve: (reply: Message) => void,
    reject: (error: Error) => void,
  ) {
    this.fail = reject;
    this.#method = method;
    this.#limits = limits;
    this.#resolve = resolve;
  }

  frame(frame: Frame): boolean {
    if (frame.type !== FrameType.Response) throw outOfPlace(this.#method, frame);
    this.#resolve(decodeMessage(this.#method.output, payloadOf(frame), this.#limits));
    return true;
  }
}

/**
 * A call with a stream of response messages. The iterator ends without an error; `ended` carries it, for interceptors.
 */
export class StreamedReply implements ClientCall {
  readonly messages: MessageQueue<Message>;
  readonly #method: DescMethod;
  readonly #end: () => void;
  readonly #reject: (error: Error) => void;

  constructor(
    method: DescMethod,
    limits: Limits,
    owner: QueueOwner,
    end: () => void,
    reject: (error: Error) => void,
  ) {
    this.#method = method;
    this.#end = end;
    this.#reject = reject;
    const decode = (payload: Uint8Array): Message => decodeMessage(method.output, payload, limits);
    this.messages = new MessageQueue(decode, limits.streamBufferBytes, owner);
  }

  /** A response frame ends the stream early or, as in Go's client, with a last message. */
  frame(frame: Frame): boolean {
    let ends = true;
    if (frame.type === FrameType.Response) {
      const payload = payloadOf(frame);
      if (payload.length > 0) this.messages.push(payload);
    } else if (frame.type === FrameType.Data) {
      if ((frame.flags & FrameFlag.NoData) === 0) this.messages.push(frameData(frame));
      ends = (frame.flags & FrameFlag.RemoteClosed) !== 0;
    } else throw outOfPlace(this.#method, frame);
    if (ends) {
      this.messages.end();
      this.#end();
    }
    return ends;
  }

  /** Messages received before stay readable. */
  fail(error: Error): void {
    this.messages.end();
    this.#reject(error);
  }
}

/** Returns the payload of a response. Throws the error of its status. */
function payloadOf(frame: Frame): Uint8Array {
  const { status, payload } = readResponse(frame.buffer, frame.start, frame.end);
  const error = status === undefined ? undefined : decodeStatus(status);
  if (error !== undefined) throw error;
  return payload;
}

function outOfPlace(method: DescMethod, frame: Frame): TtrpcError {
  return new TtrpcError(
    Code.Internal,
    `${method.name}: the server sent an unexpected frame of type ${frame.type}`,
  );
}
