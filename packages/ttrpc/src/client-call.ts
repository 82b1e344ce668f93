import type { DescMethod, Message } from '@bufbuild/protobuf';
import { Code } from './code.js';
import { decodeMessage } from './decode.js';
import { FrameFlag, frameData, FrameType, type Frame } from './frame.js';
import type { Limits } from './limits.js';
import { readResponse } from './response-envelope.js';
import { decodeStatus } from './status.js';
import { MessageQueue, type QueueOwner } from './stream.js';
import { TtrpcError } from './ttrpc-error.js';

/** A call that waits for frames. */
export interface ClientCall {
  /** Takes a frame of its stream; true when the call has ended with it. Throws the error that ends the call. */
  frame(frame: Frame): boolean;
  fail(error: Error): void;
}

/** A call that ends with the one message of a response. */
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

/** A call that is answered with a stream. Its messages end without an error; `ended` has it, for interceptors. */
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

  /** A response ends the stream early or, as Go's client has it, with a last message. */
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

  /** What was received before stays readable. */
  fail(error: Error): void {
    this.messages.end();
    this.#reject(error);
  }
}

/** The payload of a response. Throws the error of its status. */
function payloadOf(frame: Frame): Uint8Array {
  const { status, payload } = readResponse(frame.buffer, frame.start, frame.end);
  const error = status === undefined ? undefined : decodeStatus(status);
  if (error !== undefined) throw error;
  return payload;
}

function outOfPlace(method: DescMethod, frame: Frame): TtrpcError {
  return new TtrpcError(
    Code.Internal,
    `${method.name}: the server sent a frame of type ${frame.type} out of place`,
  );
}
