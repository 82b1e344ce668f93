import { setImmediate as nextTurn } from 'node:timers/promises';
import { type DescMessage, fromBinary, type Message, type MessageShape } from '@bufbuild/protobuf';
import type { FrameChannel } from '../frame/frame-channel.js';
import { FrameType } from '../frame/frame.js';
import { type EncodedPayload, opaque, opaqueSchema } from '../frame/payload.js';
import { Code, describeError, TtrpcError } from '../status.js';
import type { Limits } from '../limits.js';
import { scan, type UnknownFields } from './scan.js';

const options = { readUnknownFields: false };

/** Messages sent in a row before the event loop runs other connections. */
const messagesPerTurn = 64;

/**
 * Sends a stream's messages, one data frame each, at the pace of the peer, while `wanted` returns true. Leaving early
 * ends the source, as for any `for await`. Rethrows errors of the source.
 */
export async function sendMessages<T>(
  channel: FrameChannel,
  streamId: number,
  messages: AsyncIterable<T>,
  encode: (message: T) => EncodedPayload,
  wanted: () => boolean,
): Promise<void> {
  let sent = 0;
  for await (const message of messages) {
    if (!wanted()) break;
    channel.send(streamId, FrameType.Data, 0, encode(message));
    sent++;
    const drained = channel.drained();
    if (drained !== undefined) await drained;
    else if (sent % messagesPerTurn === 0) await nextTurn();
    if (!wanted()) break;
  }
}

/**
 * Scans and decodes a message from the peer. Unknown fields are dropped, or the message is rejected; `bytes` fields are views of the frame. Throws
 * a TtrpcError: RESOURCE_EXHAUSTED or INVALID_ARGUMENT.
 */
export function decodeMessage<D extends DescMessage>(
  descriptor: D,
  payload: Uint8Array,
  limits: Pick<Limits, 'requestFields' | 'requestDepth'>,
  unknown?: UnknownFields,
): MessageShape<D> {
  if (descriptor === opaqueSchema) return opaque(payload) as Message as MessageShape<D>;
  scan(descriptor, payload, limits, unknown);
  try {
    return fromBinary(descriptor, payload, options);
  } catch (cause) {
    const text = `cannot decode ${descriptor.typeName}: ${describeError(cause)}`;
    throw new TtrpcError(Code.InvalidArgument, text, { cause });
  }
}
