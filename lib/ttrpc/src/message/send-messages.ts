import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FrameChannel } from '../frame/frame-channel.js';
import { FrameType } from '../frame/frame.js';
import type { EncodedPayload } from '../frame/payload.js';

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
