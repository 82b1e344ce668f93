import { Buffer } from 'node:buffer';
import { aligned } from './attributes.js';
import { MalformedMessage } from './netlink-error.js';

/** struct rtnexthop: length (u16), flags, hops (u8 each), index (i32); its attributes follow. */
const headerSize = 8;

/**
 * Returns the value of RTA_MULTIPATH with only these of the flags (RTNH_F_) of its next hops.
 *
 * @throws MalformedMessage if a next hop ends beyond the bytes.
 */
export function maskNextHopFlags(value: Buffer, mask: number): Buffer {
  const masked = Buffer.from(value);
  for (let at = 0; at < masked.length; ) {
    const length = masked.length - at < headerSize ? 0 : masked.readUInt16LE(at);
    if (length < headerSize || at + length > masked.length)
      throw new MalformedMessage(`a next hop of ${length} bytes at ${at} of ${masked.length}`);
    masked.writeUInt8(masked.readUInt8(at + 2) & mask, at + 2);
    at += aligned(length);
  }
  return masked;
}
