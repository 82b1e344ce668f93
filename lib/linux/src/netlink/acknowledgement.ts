import type { Buffer } from 'node:buffer';
import { aligned, attributeOf, decodeAttributes, uint32Of } from './attributes.js';
import { MalformedMessage, NetlinkError } from './netlink-error.js';
import { AnswerFlag, AnswerType, messageHeaderSize, type NetlinkMessage } from './netlink-message.js';

/** Attributes of an extended acknowledgement (NLMSGERR_ATTR_). */
const AckAttribute = { Text: 1, Offset: 2 } as const;

/** An error number of 4 bytes is first, in NLMSG_ERROR and in NLMSG_DONE. */
const errorSize = 4;

/**
 * Checks the answer to a request (NLMSG_ERROR) or the end of a list (NLMSG_DONE).
 *
 * @param request the bytes of the request: the kernel says where in it the refused attribute is.
 * @throws NetlinkError if the kernel refused the request.
 */
export function checkAcknowledgement(answer: NetlinkMessage, request: Buffer): void {
  const { payload } = answer;
  if (payload.length < errorSize) throw new MalformedMessage(`an acknowledgement of ${payload.length} bytes`);
  const error = payload.readInt32LE(0);
  if (error === 0) return;
  // NLMSG_DONE of a list has its length, in old kernels.
  if (error > 0) {
    if (answer.type === AnswerType.Done) return;
    throw new MalformedMessage(`error ${error}, which is not negative`);
  }
  const attributes = decodeAttributes(attributesOf(answer));
  const text = attributeOf(attributes, AckAttribute.Text)?.toString().replace(/\0.*$/s, '') ?? '';
  const offset = uint32Of(attributes, AckAttribute.Offset);
  throw new NetlinkError(-error, text, offset === undefined ? undefined : attributeAt(request, offset));
}

/** Returns the bytes of an answer that are attributes. */
function attributesOf({ type, flags, payload }: NetlinkMessage): Buffer {
  if ((flags & AnswerFlag.Attributes) === 0) return payload.subarray(payload.length);
  if (type === AnswerType.Done) return payload.subarray(errorSize);
  // The request's header follows, and without NETLINK_CAP_ACK the rest of the request.
  if (payload.length < errorSize + messageHeaderSize)
    throw new MalformedMessage(`an acknowledgement of ${payload.length} bytes`);
  const size = (flags & AnswerFlag.Capped) === 0 ? payload.readUInt32LE(errorSize) : messageHeaderSize;
  return payload.subarray(errorSize + aligned(size));
}

/** Returns the type of the attribute at an offset of a request; undefined: none is there. */
function attributeAt(request: Buffer, offset: number): number | undefined {
  return offset >= messageHeaderSize && offset + 4 <= request.length
    ? request.readUInt16LE(offset + 2)
    : undefined;
}
