import { Buffer } from 'node:buffer';
import { aligned } from './attributes.js';
import { MalformedMessage } from './netlink-error.js';

/** A message (struct nlmsghdr, netlink(7)). */
export interface NetlinkMessage {
  /** NLMSG_ or RTM_. */
  readonly type: number;
  readonly flags: number;
  /** Of the request; an answer has that of its request. */
  readonly sequence: number;
  /** Of the socket that a request came from, and that its answer goes to; 0 in a request: the kernel knows it. */
  readonly port: number;
  readonly payload: Buffer;
}

/** Types of messages that the kernel answers with. */
export const AnswerType = { Error: 2, Done: 3 } as const;

/** Flags of requests (NLM_F_). */
export const RequestFlag = {
  Request: 0x001,
  Acknowledge: 0x004,
  Replace: 0x100,
  /** NLM_F_ROOT and NLM_F_MATCH. */
  Dump: 0x300,
  Create: 0x400,
} as const;

/** Flags of answers. */
export const AnswerFlag = {
  /** The list changed while the kernel wrote it. */
  Interrupted: 0x010,
  /** The answer has the header of the request, not all of it. */
  Capped: 0x100,
  /** The answer ends in attributes. */
  Attributes: 0x200,
} as const;

export const messageHeaderSize = 16;

export function encodeMessage({ type, flags, sequence, port, payload }: NetlinkMessage): Buffer {
  const encoded = Buffer.alloc(messageHeaderSize + payload.length);
  encoded.writeUInt32LE(encoded.length, 0);
  encoded.writeUInt16LE(type, 4);
  encoded.writeUInt16LE(flags, 6);
  encoded.writeUInt32LE(sequence, 8);
  encoded.writeUInt32LE(port, 12);
  payload.copy(encoded, messageHeaderSize);
  return encoded;
}

/**
 * Returns the messages of a datagram, in their order. Payloads are parts of its bytes.
 *
 * @throws MalformedMessage if a message ends beyond the datagram.
 */
export function decodeMessages(datagram: Buffer): readonly NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at < datagram.length; ) {
    const length = datagram.length - at < messageHeaderSize ? 0 : datagram.readUInt32LE(at);
    if (length < messageHeaderSize || at + length > datagram.length)
      throw new MalformedMessage(`a message of ${length} bytes at ${at} of ${datagram.length}`);
    messages.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      port: datagram.readUInt32LE(at + 12),
      payload: datagram.subarray(at + messageHeaderSize, at + length),
    });
    at += aligned(length);
  }
  return messages;
}

/**
 * Returns the fixed part of a payload (ifinfomsg, ifaddrmsg, rtmsg, ndmsg) and its attributes, as bytes.
 *
 * @throws MalformedMessage if the payload is shorter than the fixed part.
 */
export function splitPayload(
  payload: Buffer,
  size: number,
): { readonly fixed: Buffer; readonly rest: Buffer } {
  if (payload.length < size)
    throw new MalformedMessage(`a payload of ${payload.length} bytes, not of ${size}`);
  return { fixed: payload.subarray(0, size), rest: payload.subarray(size) };
}
